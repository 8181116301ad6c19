import type { Dialect, Endpoint } from '../dialect.ts'
import { openai } from '../openai/dialect.ts'

/** API units of a picture: $0.04. */
const UNITS = 40

/** Recraft: OpenAI's pictures, with what they cost in its API units (https://www.recraft.ai/docs/api-reference/getting-started). */
export const recraft: Dialect = { ...openai, endpoint }

function endpoint(method: string, path: string): Endpoint {
  const found = openai.endpoint(method, path)
  if (path !== '/v1/images/generations') return found
  return {
    ...found,
    answer(call) {
      const reply = found.answer(call)
      if (reply.status !== 200 || !('json' in reply.content)) return reply
      const answer = JSON.parse(reply.content.json)
      const json = JSON.stringify({ ...answer, credits: UNITS * answer.data.length })
      return { ...reply, content: { ...reply.content, json } }
    },
  }
}
