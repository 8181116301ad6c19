import { readBilledNanos, readError } from '../dialects/openai.ts'
import { readResponseUsage, searchesIn } from '../dialects/openai-responses-usage.ts'
import { ResponsesStream } from '../dialects/openai-responses-watch.ts'
import { callsMax, hostedTools } from '../hosted-tools.ts'
import { editMembers } from '../json-members.ts'
import type { Wire, WireRequest, WireTarget } from '../wire.ts'

/** What was thought, as only the provider can read it: where nothing is kept, it has to be sent back. */
const SEALED = 'reasoning.encrypted_content'

/**
 * OpenAI's Responses to a provider that has them too (https://platform.openai.com/docs/api-reference/responses). Unless they are told otherwise providers keep them for a month, under the operator's
 * account: what is to be kept is kept here.
 */
export function passResponses(request: WireRequest, target: WireTarget): Wire {
  const { model, cap, provider } = target
  const { fields } = request
  const edits = new Map(request.edits).set('model', JSON.stringify(model))
  if (cap !== null) edits.set('max_output_tokens', String(cap))
  // What is done beside an answer is held for, so it must have an end.
  if (
    provider.hasFullResponses &&
    fields.max_tool_calls == null &&
    hostedTools('responses', fields, provider, model).length > 0
  )
    edits.set('max_tool_calls', String(callsMax(fields)))
  if (fields.store !== false && !(fields.store === true && request.mayBeKept)) {
    edits.set('store', 'false')
    if (fields.store === true) target.leftOut('store')
    if (target.reasons && provider.hasFullResponses) edits.set('include', JSON.stringify(withSealed(fields.include)))
  }
  return {
    path: '/responses',
    headers: {},
    body: editMembers(request.body, request.members, edits),
    readAnswer(bytes, json) {
      if (json.object !== 'response') throw new SyntaxError('the answer is no response object')
      const serviceTier = typeof json.service_tier === 'string' ? json.service_tier : null
      const [usage, billedNanos] = [readResponseUsage(json), readBilledNanos(json.usage)]
      return { bytes, usage, seen: searchesIn(json), billedNanos, serviceTier }
    },
    readError,
    openStream: () => new ResponsesStream(),
  }
}

function withSealed(include: unknown): unknown {
  return Array.isArray(include) ? [...new Set([...include, SEALED])] : [SEALED]
}
