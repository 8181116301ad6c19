import { seal, unseal } from '@nemo/domain/vault'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'
import { cookieOf, setCookie } from '../http/cookies.ts'
import type { Checks } from './openid.ts'

const SECONDS = 600
const CONTEXT = 'a sign-in under way'

/** What a browser brings back: from a provider, with the code of an authenticator, or with the link of a mail that went to who is new. */
export type UnderWay =
  | { readonly kind: 'elsewhere'; readonly provider: string; readonly checks: Checks }
  | { readonly kind: 'second-factor'; readonly userId: string }
  | ({ readonly kind: 'joining' } & Joining)

/** Whom an organization's provider named, and as what it knows him. */
export interface Joining {
  readonly organizationId: string
  readonly provider: string
  readonly subject: string
  readonly email: string
  readonly name: string
}

/** Gives it to the browser, sealed, for ten minutes: an answer that comes to another browser finds nothing to go with it. */
export function keepUnderWay(control: Control, reply: FastifyReply, underWay: UnderWay): void {
  const text = JSON.stringify({ ...underWay, until: Date.now() + SECONDS * 1000 })
  setCookie(control, reply, 'sign-in', seal(control.masterKey, text, CONTEXT).toString('base64url'), SECONDS)
}

/** What the browser had, which it has no more; null when it had nothing, or too long ago. */
export function takeUnderWay(control: Control, request: FastifyRequest, reply: FastifyReply): UnderWay | null {
  if (cookieOf(control, request, 'sign-in') === null) return null
  setCookie(control, reply, 'sign-in', '', 0)
  return seeUnderWay(control, request)
}

/** The same, and it keeps it. */
export function seeUnderWay(control: Control, request: FastifyRequest): UnderWay | null {
  const cookie = cookieOf(control, request, 'sign-in')
  if (cookie === null) return null
  try {
    const { until, ...underWay } = JSON.parse(unseal(control.masterKey, Buffer.from(cookie, 'base64url'), CONTEXT))
    return until > Date.now() ? underWay : null
  } catch {
    return null
  }
}
