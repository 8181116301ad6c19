import type { Arrival, Dialect, Endpoint, Reply, StreamEvent } from '../dialect.ts'
import { isOwnToken, issueToken } from '../gemini/token.ts'
import { openai } from '../openai/dialect.ts'
import { Refusal } from '../refusal.ts'
import { checkApplication, entraReply, isTokenPath } from './entra.ts'

/**
 * OpenAI's wire format at Azure: its version 1 (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest), where the body names the deployment, and the dated one
 * (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference), where the path does and the query must have an `api-version`. Beside them, at `/azure/{tenant}/oauth2/v2.0/token`, is
 * Entra ID, which gives tokens.
 */
export const azure: Dialect = {
  ...openai,
  authenticate,
  endpoint,
  refuse,
  headers: (requestId) => ({ 'apim-request-id': requestId, 'x-ms-region': 'Sandbox', 'x-request-id': requestId }),
}

/** The key has a header of its own. Version 1 takes it as a bearer's as well, as OpenAI's SDKs send it; elsewhere a bearer has a token. */
function authenticate(arrival: Arrival, apiKey: string | undefined): void {
  const { headers, path } = arrival
  if (isTokenPath(path)) {
    checkApplication(arrival, apiKey)
    return
  }
  const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
  if (bearer !== undefined && isOwnToken(bearer, Date.now())) return
  const given = headers['api-key'] ?? (path.startsWith('/azure/openai/v1/') ? bearer : undefined)
  if (typeof given === 'string' && given !== '' && (apiKey === undefined || given === apiKey)) return
  throw new Refusal(
    401,
    'Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.',
  )
}

function endpoint(method: string, path: string): Endpoint {
  if (method === 'POST' && isTokenPath(`/azure${path}`)) return { takesBody: false, answer: issueToken }
  const [, version] = /^\/openai(\/v1\/.+)$/.exec(path) ?? []
  if (version !== undefined) return filtered(openai.endpoint(method, version))
  if (path === '/openai/models') return dated(openai.endpoint(method, '/v1/models'))
  const [, segment, operation] = /^\/openai\/deployments\/([^/]+)(\/.+)$/.exec(path) ?? []
  if (segment === undefined || operation === '/responses') throw notFound()
  const deployment = decodeURIComponent(segment)
  const found = filtered(openai.endpoint(method, `/v1${operation}`))
  return dated({
    ...found,
    model: deployment,
    answer: (call) => found.answer({ ...call, body: { ...call.body, model: deployment } }),
  })
}

/** What is found only with the version of the API in its query. */
function dated(found: Endpoint): Endpoint {
  return {
    ...found,
    answer(call) {
      if (!/^\d{4}-\d{2}-\d{2}(-preview)?$/.test(call.query.get('api-version') ?? '')) throw notFound()
      return found.answer(call)
    },
  }
}

const SAFE = { filtered: false, severity: 'safe' }
const PROMPT_FILTER_RESULTS = [
  { prompt_index: 0, content_filter_results: { hate: SAFE, self_harm: SAFE, sexual: SAFE, violence: SAFE } },
]

/** Before it streams, Azure says what it thinks of the prompt: https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-streaming */
function filtered(found: Endpoint): Endpoint {
  return {
    ...found,
    answer(call) {
      const reply = found.answer(call)
      if (!('events' in reply.content) || !Array.isArray(call.body.messages)) return reply
      return { ...reply, content: { events: afterFilter(reply.content.events) } }
    },
  }
}

function* afterFilter(events: Iterable<StreamEvent>): Generator<StreamEvent> {
  const nameless = { choices: [], created: 0, id: '', model: '', object: '' }
  yield { data: JSON.stringify({ ...nameless, prompt_filter_results: PROMPT_FILTER_RESULTS }), tokens: 0 }
  yield* events
}

/** What Azure says to a path without the version of its API as well. */
function notFound(): Refusal {
  return new Refusal(404, 'Resource not found')
}

/** What Azure's front door refuses has its status for a code; what the models refuse looks as it does at OpenAI. */
function refuse(refusal: Refusal): Reply {
  const { status, message, code } = refusal
  const entra = entraReply(refusal)
  if (entra) return entra
  if (code !== null || (status !== 401 && status !== 404)) return openai.refuse(refusal)
  return { status, content: { json: JSON.stringify({ error: { code: String(status), message } }), tokens: 0 } }
}
