import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'
import { isHttps } from './cookies.ts'

/** On every answer: nothing in it is run, framed, guessed at, kept, or told to others. A page that needs more says so itself. */
export function setSecurityHeaders({ publicUrl }: Control, reply: FastifyReply): void {
  reply.headers({
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
    'cache-control': 'no-store',
    ...(isHttps(publicUrl) && { 'strict-transport-security': 'max-age=31536000; includeSubDomains' }),
  })
}

/** Lets pages of the origins that the operator named call with a token: cookies are never allowed. Without such origins there is no CORS. */
export function setCorsHeaders({ settings }: Control, request: FastifyRequest, reply: FastifyReply): void {
  const { origin } = request.headers
  if (settings.corsOrigins.length === 0) return
  reply.header('vary', 'origin')
  if (origin === undefined || !settings.corsOrigins.includes(origin)) return
  reply.headers({
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
    'access-control-allow-headers': 'authorization, content-type',
    'access-control-expose-headers': 'x-nemo-request-id, retry-after',
    'access-control-max-age': '600',
    'cross-origin-resource-policy': 'cross-origin',
  })
}
