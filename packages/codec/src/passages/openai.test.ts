import OpenAI from 'openai'
import { expect, test } from 'vitest'
import type { JsonObject } from '../chat/request.ts'
import { topLevelMembers } from '../json-members.ts'
import { findProvider } from '../providers.ts'
import { chat } from '../surfaces/chat/chat.ts'
import { passOpenAi } from './openai.ts'

/** What the caller gets of an answer to such a request. */
function passed(fields: JsonObject, answer: JsonObject): Buffer {
  const provider = findProvider('ollama')!
  const body = Buffer.from(JSON.stringify(fields))
  const never = (param: string) => expect.fail(param)
  const wire = passOpenAi(
    {
      ...{ endpoint: 'embeddings', surface: chat, body, members: topLevelMembers(body), edits: new Map(), fields },
      ...{
        headers: {},
        chat: () => chat.readRequest(fields),
        streamed: false,
        choices: 1,
        inputTokens: 1,
        mayBeKept: false,
      },
      ...{ id: 'x'.repeat(24), createdAt: 1 },
    },
    {
      ...{ provider, model: 'm', hosting: provider.hosting, outputTokensMax: null, cap: null, reasons: false },
      ...{ unsupported: never, leftOut: never },
    },
  )
  return wire.readAnswer(Buffer.from(JSON.stringify(answer)), answer).bytes
}

const vector = [0.5, -0.25, 3]
const answer = (embedding: unknown) => ({
  ...{ object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding }] },
  usage: { prompt_tokens: 1, total_tokens: 1 },
})

test('OpenAI’s own client gets the numbers of a server that knows no base64', async () => {
  const fetch = async (_: unknown, init?: { body?: unknown }) => {
    const fields = JSON.parse(String(init!.body))
    expect(fields.encoding_format).toBe('base64')
    return new Response(new Uint8Array(passed(fields, answer(vector))), {
      headers: { 'content-type': 'application/json' },
    })
  }
  const client = new OpenAI({ apiKey: 'k', fetch, maxRetries: 0 })
  const { data } = await client.embeddings.create({ model: 'm', input: 'Hi.' })
  expect(data[0]!.embedding).toEqual(vector)
})

test('an answer that is as it was asked for passes untouched', () => {
  for (const [encoding_format, embedding] of [
    ['float', vector],
    ['base64', 'AAAAPw=='],
  ]) {
    const given = answer(embedding)
    expect(passed({ model: 'm', input: 'Hi.', encoding_format }, given).toString()).toBe(JSON.stringify(given))
  }
})
