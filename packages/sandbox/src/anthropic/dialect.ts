import type { Arrival, Dialect, Endpoint } from '../dialect.ts'
import { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'
import { countTokens } from './count-tokens.ts'
import { failureReply, refusalReply } from './errors.ts'
import { createMessage } from './messages.ts'
import { listModels, retrieveModel } from './models.ts'

/** Anthropic's wire format: https://platform.claude.com/docs/en/api/overview */
export const anthropic: Dialect = {
  authenticate,
  endpoint,
  refuse: refusalReply,
  fail: failureReply,
  rateLimitHeaders,
  headers: (requestId) => ({ 'request-id': requestId, 'anthropic-organization-id': 'sandbox' }),
}

const versions = ['2023-01-01', '2023-06-01', '2026-10-21']

/** A key in either header: newer SDKs send it as a bearer's (https://platform.claude.com/docs/en/api/versioning: the version is as needful as the key). */
function authenticate({ headers }: Arrival, apiKey: string | undefined): void {
  const given = headers['x-api-key'] ?? /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
  if (typeof given !== 'string' || given === '') throw new Refusal(401, 'x-api-key header is required')
  if (apiKey !== undefined && given !== apiKey) throw new Refusal(401, 'invalid x-api-key')
  const version = headers['anthropic-version']
  if (version === undefined) throw new Refusal(400, 'anthropic-version: header is required')
  if (typeof version !== 'string' || !versions.includes(version)) {
    throw new Refusal(400, `anthropic-version: "${version}" is not a valid version`)
  }
}

const posts: Record<string, Endpoint> = {
  '/v1/messages': { takesBody: true, answer: createMessage },
  '/v1/messages/count_tokens': { takesBody: true, answer: countTokens },
}

function endpoint(method: string, path: string): Endpoint {
  const found = (Object.hasOwn(posts, path) ? posts[path] : undefined) ?? reading(path)
  if (found === undefined) throw new Refusal(404, 'Not found')
  const allowed = found.takesBody ? 'POST' : 'GET'
  if (method === allowed) return found
  throw new Refusal(405, 'Method Not Allowed', { headers: { allow: allowed } })
}

function reading(path: string): Endpoint | undefined {
  if (path === '/v1/models') return { takesBody: false, answer: listModels }
  const id = /^\/v1\/models\/([^/]+)$/.exec(path)?.[1]
  return id === undefined ? undefined : { takesBody: false, answer: (call) => retrieveModel(id, call) }
}

/** https://platform.claude.com/docs/en/api/rate-limits#response-headers: the resets are times of day. */
function rateLimitHeaders(settings: SandboxConfig, failed: boolean): Record<string, string> {
  const reset = new Date((settings.created + (failed ? (settings.retry_after ?? 1) : 0)) * 1000).toISOString()
  const headers: Record<string, string> = {}
  for (const [what, limit] of Object.entries({ requests: 4000, 'input-tokens': 2_000_000, 'output-tokens': 400_000 })) {
    headers[`anthropic-ratelimit-${what}-limit`] = String(limit)
    headers[`anthropic-ratelimit-${what}-remaining`] = failed ? '0' : String(limit - 1)
    headers[`anthropic-ratelimit-${what}-reset`] = reset
  }
  return headers
}
