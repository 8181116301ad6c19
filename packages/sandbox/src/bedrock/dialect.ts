import type { Arrival, Dialect, Endpoint } from '../dialect.ts'
import { Refusal } from '../refusal.ts'
import { converse } from './converse.ts'
import { denied, failureReply, refusalReply, refused } from './errors.ts'
import { invoke } from './invoke.ts'
import { keyPairOf, verifyApiKey, verifySignature } from './signature.ts'

/** Amazon Bedrock's runtime, Converse and InvokeModel: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html */
export const bedrock: Dialect = {
  authenticate,
  endpoint,
  refuse: refusalReply,
  fail: failureReply,
  // Bedrock doesn't tell what is left.
  rateLimitHeaders: () => ({}),
  headers: (requestId) => ({ 'x-amzn-requestid': requestId }),
}

/** A signature of the one key pair (`--api-key id:secret` sets another), or an API key of Bedrock's own as a bearer's. */
function authenticate(arrival: Arrival, apiKey: string | undefined): void {
  const { authorization = '' } = arrival.headers
  const bearer = /^Bearer (.+)$/i.exec(authorization)?.[1]
  if (bearer !== undefined) {
    verifyApiKey(bearer, apiKey)
    return
  }
  if (!authorization.startsWith('AWS4-HMAC-SHA256 ')) {
    throw denied('MissingAuthenticationTokenException', 'Missing Authentication Token')
  }
  verifySignature(arrival, keyPairOf(apiKey), 'bedrock', Date.now())
}

function endpoint(method: string, path: string): Endpoint {
  const [, segment, verb = ''] = /^\/model\/([^/]+)\/([a-z-]+)$/.exec(path) ?? []
  const operation = Object.hasOwn(operations, verb) ? operations[verb]! : undefined
  if (segment === undefined || operation === undefined) {
    throw new Refusal(404, 'UnknownOperationException', { code: 'UnknownOperationException' })
  }
  if (method !== 'POST') throw new Refusal(405, 'The HTTP method is not allowed.', { headers: { allow: 'POST' } })
  const model = served(segment)
  const { answer, stream } = operation
  return { takesBody: true, answer: (call) => answer(model, stream, call), model, stream }
}

const operations: Record<string, { answer: typeof converse; stream: boolean }> = {
  converse: { answer: converse, stream: false },
  'converse-stream': { answer: converse, stream: true },
  invoke: { answer: invoke, stream: false },
  'invoke-with-response-stream': { answer: invoke, stream: true },
}

/** Every model named `sandbox-…`, and those of Bedrock's vendors, by id, region or resource name. */
function served(segment: string): string {
  let model = segment
  try {
    model = decodeURIComponent(segment)
  } catch {
    // Not a name that any model could have.
  }
  if (/^(sandbox-|arn:aws|((us|us-gov|eu|apac|jp|au|global)\.)?[a-z0-9]+\.[a-z])/.test(model)) return model
  throw refused('The provided model identifier is invalid.')
}
