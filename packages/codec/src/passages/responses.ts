import { readBilledNanos, readError } from '../dialects/openai.ts'
import { readResponseUsage } from '../dialects/openai-responses-usage.ts'
import { ResponsesStream } from '../dialects/openai-responses-watch.ts'
import { callsMax, hostedTools } from '../hosted-tools.ts'
import { editMembers } from '../json-members.ts'
import type { Wire, WireRequest, WireTarget } from '../wire.ts'

/** OpenAI's Responses to a provider that has them too (https://platform.openai.com/docs/api-reference/responses). */
export function passResponses(request: WireRequest, { model, cap, provider }: WireTarget): Wire {
  const { fields } = request
  const edits = new Map(request.edits).set('model', JSON.stringify(model))
  if (cap !== null) edits.set('max_output_tokens', String(cap))
  // What is done beside an answer is held for, so it must have an end.
  if (
    provider.capsCalls &&
    fields.max_tool_calls == null &&
    hostedTools('responses', fields, provider, model).length > 0
  )
    edits.set('max_tool_calls', String(callsMax(fields)))
  return {
    path: '/responses',
    headers: {},
    body: editMembers(request.body, request.members, edits),
    readAnswer(bytes, json) {
      if (json.object !== 'response') throw new SyntaxError('the answer is no response object')
      const serviceTier = typeof json.service_tier === 'string' ? json.service_tier : null
      return { bytes, usage: readResponseUsage(json), billedNanos: readBilledNanos(json.usage), serviceTier }
    },
    readError,
    openStream: () => new ResponsesStream(),
  }
}
