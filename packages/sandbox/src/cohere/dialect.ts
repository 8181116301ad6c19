import type { Arrival, Dialect, Endpoint } from '../dialect.ts'
import { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'
import { chat } from './chat.ts'
import { embed } from './embed.ts'
import { failureReply, refusalReply } from './errors.ts'

/** Cohere's wire format, version 2: https://docs.cohere.com/reference/about */
export const cohere: Dialect = {
  authenticate,
  endpoint,
  refuse: refusalReply,
  fail: failureReply,
  rateLimitHeaders,
  headers: (requestId) => ({ 'x-debug-trace-id': requestId }),
}

function authenticate({ headers }: Arrival, apiKey: string | undefined): void {
  const given = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]?.trim()
  if (given === undefined || given === '') throw new Refusal(401, 'no api key supplied')
  if (apiKey !== undefined && given !== apiKey) throw new Refusal(401, 'invalid api token')
}

const posts: Record<string, Endpoint> = {
  '/v2/chat': { takesBody: true, answer: chat },
  '/v2/embed': { takesBody: true, answer: embed },
}

function endpoint(method: string, path: string): Endpoint {
  const found = Object.hasOwn(posts, path) ? posts[path] : undefined
  if (found === undefined) throw new Refusal(404, `page not found: ${path}`)
  if (method === 'POST') return found
  throw new Refusal(405, 'method not allowed', { headers: { allow: 'POST' } })
}

function rateLimitHeaders(_: SandboxConfig, failed: boolean): Record<string, string> {
  return {
    'x-trial-endpoint-call-limit': '40',
    'x-trial-endpoint-call-remaining': failed ? '0' : '39',
    'x-endpoint-monthly-call-limit': '1000',
  }
}
