import { createMessage } from '../anthropic/messages.ts'
import type { Call, Reply, StreamEvent } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { embed } from './embed.ts'
import { refused } from './errors.ts'
import { eventFrame, exceptionFrame } from './frame.ts'

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html: the body is the model's own; Claude's, and embeddings of two makers. */
export function invoke(model: string, streamed: boolean, call: Call): Reply {
  const { body } = call
  if (body.anthropic_version !== undefined || /\bclaude\b/.test(model)) return invokeClaude(model, streamed, call)
  const embedded = embed(body)
  if (embedded !== null && !streamed) return embedded
  throw refused(
    'Malformed input request: the body fits no model that the sandbox has, please reformat your input and try again.',
  )
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html */
function invokeClaude(model: string, streamed: boolean, call: Call): Reply {
  const { anthropic_version: version, anthropic_beta: _, ...rest } = call.body
  if (version !== 'bedrock-2023-05-31') {
    throw refused(version === undefined ? 'anthropic_version: Field required' : 'Invalid API version')
  }
  for (const name of ['model', 'stream']) {
    if (name in rest) throw refused(`${name}: Extra inputs are not permitted`)
  }
  const reply = createMessage({ ...call, body: { ...rest, model: nativeName(model), stream: streamed } })
  const { content } = reply
  if (!('events' in content)) return reply
  return { ...reply, framing: 'event-stream', content: { events: chunks(content.events) } }
}

/** `us.anthropic.claude-sonnet-4-5-20250929-v1:0` is `claude-sonnet-4-5-20250929` at its maker's. */
function nativeName(model: string): string {
  const name = model.slice(model.lastIndexOf('/') + 1)
  return /claude-[a-z0-9-]*?(?=-v\d|:|$)/.exec(name)?.[0] ?? name
}

/** Each event is a chunk of base64, and a failure is an exception (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html). */
function* chunks(events: Iterable<StreamEvent>): Generator<StreamEvent> {
  for (const { event, data, tokens } of events) {
    const payload = JSON.parse(data) as JsonObject
    if (event === 'error') {
      const error = isObject(payload.error) ? payload.error : {}
      const data = JSON.stringify({ message: String(error.message) })
      return yield { data, bytes: exceptionFrame('modelStreamErrorException', data), tokens: 0 }
    }
    const said = event === 'message_stop' ? JSON.stringify({ ...payload, ...metrics }) : data
    const chunk = JSON.stringify({ bytes: Buffer.from(said).toString('base64'), p: 'abc' })
    yield { data: said, bytes: eventFrame('chunk', chunk), tokens }
  }
}

/** Bedrock's own count, beside Claude's. */
const metrics = { 'amazon-bedrock-invocationMetrics': { invocationLatency: 1, firstByteLatency: 1 } }
