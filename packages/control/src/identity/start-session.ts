import { createSession } from '@nemo/postgres/sessions'
import type { Transaction } from '@nemo/postgres/tenancy'
import { type Caller, findCallerBySession } from '@nemo/postgres/who-calls'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'
import { setSessionCookie } from '../http/cookies.ts'
import { newSecret } from './secrets.ts'

const DAY_SECONDS = 24 * 60 * 60
const DAYS = 30

/** Begins a session for the browser that asks, and says who is in it. One that an organization's provider vouched for lasts a day: who is let go there is asked for here. As nemo_identity. */
export async function startSession(
  control: Control,
  identity: Transaction,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  userId: string,
  ssoOrganizationId?: string,
): Promise<Caller> {
  const { secret, hash } = newSecret()
  const userAgent = request.headers['user-agent'] ?? ''
  const seconds = (ssoOrganizationId ? 1 : DAYS) * DAY_SECONDS
  await createSession(identity, { userId, hash, address: request.ip, userAgent, seconds, ssoOrganizationId })
  setSessionCookie(control, reply, secret, seconds)
  return (await findCallerBySession(identity, hash))!
}
