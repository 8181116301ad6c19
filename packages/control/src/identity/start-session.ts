import { createSession } from '@nemo/postgres/sessions'
import type { Transaction } from '@nemo/postgres/tenancy'
import { type Caller, findCallerBySession } from '@nemo/postgres/who-calls'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'
import { setSessionCookie } from '../http/cookies.ts'
import { newSecret } from './secrets.ts'

const SECONDS = 30 * 24 * 60 * 60

/** Begins a session for the browser that asks, and says who is in it. As nemo_identity. */
export async function startSession(
  control: Control,
  identity: Transaction,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  userId: string,
  ssoOrganizationId?: string,
): Promise<Caller> {
  const { secret, hash } = newSecret()
  const userAgent = request.headers['user-agent'] ?? ''
  await createSession(identity, { userId, hash, address: request.ip, userAgent, seconds: SECONDS, ssoOrganizationId })
  setSessionCookie(control, reply, secret, SECONDS)
  return (await findCallerBySession(identity, hash))!
}
