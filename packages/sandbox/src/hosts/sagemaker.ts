import { denied, reply } from '../bedrock/errors.ts'
import { exceptionFrame, payloadFrame } from '../bedrock/frame.ts'
import { keyPairOf, verifySignature } from '../bedrock/signature.ts'
import type { Arrival, Call, Dialect, Endpoint, Reply, StreamEvent } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { createChatCompletion } from '../openai/chat.ts'
import { refusalReply } from '../openai/errors.ts'
import { Refusal } from '../refusal.ts'

/** Endpoints of Amazon SageMaker whose container speaks OpenAI's chat completions: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Runtime.html */
export const sagemaker: Dialect = {
  authenticate,
  endpoint,
  refuse,
  fail: (status, { error_code, error_message }) =>
    reply(status, error_code ?? typeOf(status), error_message ?? 'The request could not be processed.', {}),
  // SageMaker doesn't tell what is left.
  rateLimitHeaders: () => ({}),
  headers: (requestId) => ({ 'x-amzn-requestid': requestId, 'x-amzn-invoked-production-variant': 'sandbox' }),
}

/** A signature for this service, and nothing else: it has no keys of its own. */
function authenticate(arrival: Arrival, apiKey: string | undefined): void {
  if (!arrival.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ')) {
    throw denied('MissingAuthenticationTokenException', 'Missing Authentication Token')
  }
  verifySignature(arrival, keyPairOf(apiKey), 'sagemaker', Date.now())
}

function endpoint(method: string, path: string): Endpoint {
  const matched = /^\/endpoints\/[A-Za-z0-9-]+\/invocations(-response-stream)?$/.exec(path)
  if (matched === null) {
    throw new Refusal(404, 'UnknownOperationException', { code: 'UnknownOperationException' })
  }
  if (method !== 'POST') throw new Refusal(405, 'The HTTP method is not allowed.', { headers: { allow: 'POST' } })
  const stream = matched[1] !== undefined
  return { takesBody: true, stream, answer: (call) => invoke(stream, call) }
}

/** The container's own answer; a stream of its bytes in parts (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html). */
function invoke(streamed: boolean, call: Call): Reply {
  const answered = answerOfContainer(call)
  const { content } = answered
  if (!streamed && 'events' in content) {
    throw new Refusal(400, 'The endpoint streams only to InvokeEndpointWithResponseStream.', {
      code: 'ValidationError',
    })
  }
  return 'events' in content
    ? { ...answered, framing: 'event-stream', content: { events: parts(content.events) } }
    : answered
}

/** Its errors are told as those of the model: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors */
function answerOfContainer(call: Call): Reply {
  try {
    return createChatCompletion(call)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { content } = refusalReply(error)
    const original = 'json' in content ? content.json : ''
    const message = `Received client error (${error.status}) from primary with message "${original}".`
    const body = { ErrorCode: 'CLIENT_ERROR_FROM_MODEL', Message: message, OriginalMessage: original }
    const json = JSON.stringify({ ...body, OriginalStatusCode: error.status })
    return { status: 424, headers: { 'x-amzn-errortype': 'ModelError' }, content: { json, tokens: 0 } }
  }
}

/** Server-sent events, cut wherever it pleases the network: here in the middle of each, multibyte letters included. */
function* parts(events: Iterable<StreamEvent>): Generator<StreamEvent> {
  for (const { data, tokens } of events) {
    const failure = failureIn(data)
    if (failure !== null) {
      const json = JSON.stringify({ Message: failure, ErrorCode: 'StreamBroken' })
      return yield { data: json, bytes: exceptionFrame('ModelStreamError', json), tokens: 0 }
    }
    const text = Buffer.from(`data: ${data}\n\n`)
    const half = text.length >> 1
    const bytes = Buffer.concat([payloadFrame(text.subarray(0, half)), payloadFrame(text.subarray(half))])
    yield { data, bytes, tokens }
  }
}

function failureIn(data: string): string | null {
  if (!data.startsWith('{"error"')) return null
  const { error } = JSON.parse(data) as JsonObject
  return isObject(error) ? String(error.message) : null
}

function refuse({ status, message, code, headers }: Refusal): Reply {
  return reply(status, code ?? typeOf(status), message, headers)
}

function typeOf(status: number): string {
  return status === 503 ? 'ServiceUnavailable' : status >= 500 ? 'InternalFailure' : 'ValidationError'
}
