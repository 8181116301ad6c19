import type { Arrival, Dialect, Endpoint } from '../dialect.ts'
import { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'
import { createChatCompletion } from './chat.ts'
import { createEmbeddings } from './embeddings.ts'
import { failureReply, refusalReply } from './errors.ts'
import { createImages } from './images.ts'
import { listModels, retrieveModel } from './models.ts'
import { createResponse } from './responses.ts'

/** OpenAI's wire format: https://platform.openai.com/docs/api-reference/introduction */
export const openai: Dialect = {
  authenticate,
  endpoint,
  refuse: refusalReply,
  fail: failureReply,
  rateLimitHeaders,
  headers: (requestId, elapsedMs) => ({
    'x-request-id': requestId,
    'openai-processing-ms': String(Math.round(elapsedMs)),
    'openai-version': '2020-10-01',
  }),
}

function authenticate({ headers }: Arrival, apiKey: string | undefined): void {
  const given = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]?.trim()
  if (given === undefined || given === '') {
    throw new Refusal(401, "You didn't provide an API key. Send it as `Authorization: Bearer YOUR_KEY`.", {
      code: 'invalid_api_key',
    })
  }
  if (apiKey !== undefined && given !== apiKey) {
    throw new Refusal(401, `Incorrect API key provided: ${given.slice(0, 3)}***.`, { code: 'invalid_api_key' })
  }
}

const posts: Record<string, Endpoint> = {
  '/v1/chat/completions': { takesBody: true, answer: createChatCompletion },
  '/v1/responses': { takesBody: true, answer: createResponse },
  '/v1/embeddings': { takesBody: true, answer: createEmbeddings },
  '/v1/images/generations': { takesBody: true, answer: createImages },
}

function endpoint(method: string, path: string): Endpoint {
  const post = Object.hasOwn(posts, path) ? posts[path] : undefined
  const found = post ?? reading(path)
  if (found === undefined) throw new Refusal(404, `Invalid URL (${method} ${path})`)
  const allowed = found.takesBody ? 'POST' : 'GET'
  if (method === allowed) return found
  throw new Refusal(405, `Not allowed to ${method} on ${path}. (HINT: Perhaps you meant to use ${allowed}?)`, {
    code: 'method_not_supported',
    headers: { allow: allowed },
  })
}

function reading(path: string): Endpoint | undefined {
  if (path === '/v1/models') return { takesBody: false, answer: listModels }
  const id = /^\/v1\/models\/(.+)$/.exec(path)?.[1]
  return id === undefined ? undefined : { takesBody: false, answer: (call) => retrieveModel(decoded(id), call) }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    // Not a name that any model could have; it is looked up, and not found, as it stands.
    return segment
  }
}

/** https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers */
function rateLimitHeaders(settings: SandboxConfig, failed: boolean): Record<string, string> {
  const reset = failed ? `${settings.retry_after ?? 1}s` : '6ms'
  return {
    'x-ratelimit-limit-requests': '10000',
    'x-ratelimit-remaining-requests': failed ? '0' : '9999',
    'x-ratelimit-reset-requests': reset,
    'x-ratelimit-limit-tokens': '2000000',
    'x-ratelimit-remaining-tokens': failed ? '0' : '1999000',
    'x-ratelimit-reset-tokens': reset,
  }
}
