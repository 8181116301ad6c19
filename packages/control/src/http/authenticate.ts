import type { Access } from '@nemo/api/route'
import { ApiError } from '@nemo/domain/errors'
import { may } from '@nemo/domain/roles'
import { type Caller, findCallerBySession, findCallerByToken } from '@nemo/postgres/who-calls'
import type { FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'
import { hashSecret, isPersonalToken } from '../identity/secrets.ts'
import type { Actor } from './call.ts'
import { sessionCookieOf } from './cookies.ts'

/** Who calls, by the token or the session that came with the request; null for nobody. Throws 401 for a token that is none. */
export async function identify(control: Control, request: FastifyRequest): Promise<Actor | null> {
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1] ?? ''
    const caller = isPersonalToken(token) ? await findCallerByToken(control.identity, hashSecret(token)) : null
    if (!caller) throw notSignedIn('The token is unknown or has expired.')
    return actorOf(caller, 'token', request.ip)
  }
  const cookie = sessionCookieOf(control, request)
  const caller = cookie === null ? null : await findCallerBySession(control.identity, hashSecret(cookie))
  return caller && actorOf(caller, 'session', request.ip)
}

/** Throws unless the actor may use a route of that access by that method. Nothing of what it says depends on what the route is called for. */
export function requireAccess(access: Access, method: string, actor: Actor | null): void {
  if (access === 'public') return
  if (!actor) throw notSignedIn('Sign in, or send a personal token as "Authorization: Bearer nemo_pat_…".')
  if (access === 'session') {
    if (actor.via === 'token' && method !== 'GET' && method !== 'HEAD')
      throw new ApiError(403, 'session_required', 'A token may read this, and only who is signed in may change it.')
    return
  }
  if (access === 'operator') {
    if (!actor.caller.isOperator) throw denied('operator')
    return
  }
  const { organization } = actor.caller
  if (!organization)
    throw new ApiError(403, 'no_organization', 'You belong to no organization: accept an invitation, or found one.')
  if (!may(organization.role, access.permission)) throw denied(access.permission)
  if (organization.suspendedAt !== null && !isHarmless(access.permission))
    throw new ApiError(
      403,
      'organization_suspended',
      'Your organization is suspended: you may look, and change nothing.',
    )
  if (organization.deleteAfter !== null && !isHarmless(access.permission))
    throw new ApiError(
      403,
      'organization_closing',
      'Your organization is about to be deleted: you may look, and take it back.',
    )
}

function isHarmless(permission: string): boolean {
  return permission.endsWith(':read') || permission === 'organization:delete' || permission === 'organization:export'
}

function notSignedIn(message: string): ApiError {
  return new ApiError(401, 'not_signed_in', message)
}

function denied(permission: string): ApiError {
  return new ApiError(403, 'permission_denied', `This needs ${permission}, which your role doesn't have.`)
}

function actorOf(caller: Caller, via: Actor['via'], ip: string): Actor {
  return {
    userId: caller.userId,
    email: caller.email,
    organizationId: caller.organization?.id ?? null,
    role: caller.organization?.role ?? null,
    via,
    ip,
    caller,
  }
}
