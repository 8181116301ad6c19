import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'

/** `session` is who is signed in; `sign-in` what a sign-in that is under way elsewhere will come back to. */
type Name = 'session' | 'sign-in'

/** The session's token as the browser sent it; null without one. */
export function sessionCookieOf(control: Control, request: FastifyRequest): string | null {
  return cookieOf(control, request, 'session')
}

/** Hands the session's token to the browser, which shows it to no script, and sends it to nobody but us. */
export function setSessionCookie(control: Control, reply: FastifyReply, token: string, seconds: number): void {
  setCookie(control, reply, 'session', token, seconds)
}

export function clearSessionCookie(control: Control, reply: FastifyReply): void {
  setCookie(control, reply, 'session', '', 0)
}

export function cookieOf(control: Control, request: FastifyRequest, name: Name): string | null {
  const wanted = `${nameOf(control, name)}=`
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const trimmed = pair.trim()
    if (trimmed.startsWith(wanted)) return trimmed.slice(wanted.length) || null
  }
  return null
}

export function setCookie(control: Control, reply: FastifyReply, name: Name, value: string, seconds: number): void {
  const secure = isHttps(control.publicUrl) ? '; Secure' : ''
  reply.header(
    'set-cookie',
    `${nameOf(control, name)}=${value}; Max-Age=${seconds}; Path=/; HttpOnly; SameSite=Lax${secure}`,
  )
}

/** `__Host-` makes browsers refuse the cookie from a subdomain, and without Secure: it goes with https only. */
function nameOf({ publicUrl }: Control, name: Name): string {
  return `${isHttps(publicUrl) ? '__Host-' : ''}nemo_${name === 'session' ? name : 'sign_in'}`
}

export function isHttps(url: string): boolean {
  return url.startsWith('https:')
}
