import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'

/** The session's token as the browser sent it; null without one. */
export function sessionCookieOf(control: Control, request: FastifyRequest): string | null {
  const wanted = `${nameOf(control)}=`
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const trimmed = pair.trim()
    if (trimmed.startsWith(wanted)) return trimmed.slice(wanted.length) || null
  }
  return null
}

/** Hands the session's token to the browser, which shows it to no script, and sends it to nobody but us. */
export function setSessionCookie(control: Control, reply: FastifyReply, token: string, seconds: number): void {
  reply.header('set-cookie', `${nameOf(control)}=${token}; Max-Age=${seconds}; ${flagsOf(control)}`)
}

export function clearSessionCookie(control: Control, reply: FastifyReply): void {
  reply.header('set-cookie', `${nameOf(control)}=; Max-Age=0; ${flagsOf(control)}`)
}

/** `__Host-` makes browsers refuse the cookie from a subdomain, and without Secure: it goes with https only. */
function nameOf({ publicUrl }: Control): string {
  return isHttps(publicUrl) ? '__Host-nemo_session' : 'nemo_session'
}

function flagsOf({ publicUrl }: Control): string {
  return `Path=/; HttpOnly; SameSite=Lax${isHttps(publicUrl) ? '; Secure' : ''}`
}

export function isHttps(url: string): boolean {
  return url.startsWith('https:')
}
