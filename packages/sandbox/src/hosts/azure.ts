import type { Arrival, Dialect, Endpoint, Reply } from '../dialect.ts'
import { openai } from '../openai/dialect.ts'
import { Refusal } from '../refusal.ts'

/**
 * OpenAI's wire format at Azure: its version 1 (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest), where the body names the deployment, and the dated one
 * (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference), where the path does and the query must have an `api-version`.
 */
export const azure: Dialect = {
  ...openai,
  authenticate,
  endpoint,
  refuse,
  headers: (requestId) => ({ 'apim-request-id': requestId, 'x-ms-region': 'Sandbox', 'x-request-id': requestId }),
}

/** The key has a header of its own. Version 1 takes it as a bearer's as well, as OpenAI's SDKs send it. */
function authenticate({ headers, path }: Arrival, apiKey: string | undefined): void {
  const bearer = path.startsWith('/azure/openai/v1/')
    ? /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
    : undefined
  const given = headers['api-key'] ?? bearer
  if (typeof given === 'string' && given !== '' && (apiKey === undefined || given === apiKey)) return
  throw new Refusal(
    401,
    'Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.',
  )
}

function endpoint(method: string, path: string): Endpoint {
  const [, version] = /^\/openai(\/v1\/.+)$/.exec(path) ?? []
  if (version !== undefined) return openai.endpoint(method, version)
  const [, deployment, operation] = /^\/openai\/deployments\/([^/]+)(\/.+)$/.exec(path) ?? []
  if (deployment === undefined) throw notFound()
  const found = openai.endpoint(method, `/v1${operation}`)
  return {
    ...found,
    model: deployment,
    answer(call) {
      if (!/^\d{4}-\d{2}-\d{2}(-preview)?$/.test(call.query.get('api-version') ?? '')) throw notFound()
      return found.answer({ ...call, body: { ...call.body, model: deployment } })
    },
  }
}

/** What Azure says to a path without the version of its API as well. */
function notFound(): Refusal {
  return new Refusal(404, 'Resource not found')
}

/** What Azure's front door refuses has its status for a code; what the models refuse looks as it does at OpenAI. */
function refuse(refusal: Refusal): Reply {
  const { status, message, code } = refusal
  if (code !== null || (status !== 401 && status !== 404)) return openai.refuse(refusal)
  return { status, content: { json: JSON.stringify({ error: { code: String(status), message } }), tokens: 0 } }
}
