import { readError, readUsage } from '../dialects/openai.ts'
import { ResponsesStream } from '../dialects/openai-responses-watch.ts'
import { editMembers } from '../json-members.ts'
import type { Wire, WireRequest, WireTarget } from '../wire.ts'

/** OpenAI's Responses to a provider that has them too (https://platform.openai.com/docs/api-reference/responses). */
export function passResponses(request: WireRequest, { model, cap }: WireTarget): Wire {
  const edits = new Map(request.edits).set('model', JSON.stringify(model))
  if (cap !== null) edits.set('max_output_tokens', String(cap))
  return {
    path: '/responses',
    headers: {},
    body: editMembers(request.body, request.members, edits),
    readAnswer(bytes, json) {
      if (json.object !== 'response') throw new SyntaxError('the answer is no response object')
      const serviceTier = typeof json.service_tier === 'string' ? json.service_tier : null
      return { bytes, usage: readUsage(json.usage), billedNanos: null, serviceTier }
    },
    readError,
    openStream: () => new ResponsesStream(),
  }
}
