import { ApiError } from '@nemo/domain/errors'
import type { FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'

/**
 * Refuses a change that a page of somebody else's makes a browser ask for. Browsers say where a request comes from (`sec-fetch-site`, `origin`); a
 * caller who says nothing and sends a cookie must send `x-nemo-csrf` too, which no page can without being asked first. Whoever has a bearer token is no browser.
 */
export function refuseForeignPages(control: Control, request: FastifyRequest, hasCookie: boolean): void {
  const { method, headers } = request
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || headers.authorization !== undefined) return
  const site = headers['sec-fetch-site']
  if (site !== undefined) {
    if (site === 'same-origin' || site === 'none') return
  } else if (headers.origin !== undefined) {
    if (isOwn(control, request, headers.origin)) return
  } else if (!hasCookie || headers['x-nemo-csrf'] !== undefined) return
  throw new ApiError(
    403,
    'foreign_origin',
    'This came from a page of another origin. Call with a personal token from there.',
  )
}

function isOwn({ publicUrl }: Control, { headers }: FastifyRequest, origin: string): boolean {
  if (!URL.canParse(origin)) return false
  const url = new URL(origin)
  return url.origin === new URL(publicUrl).origin || url.host === headers.host
}
