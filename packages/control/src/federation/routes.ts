import type { federationRoutes, ssoConnection } from '@nemo/api/federation'
import { ApiError } from '@nemo/domain/errors'
import { reaches } from '@nemo/domain/roles'
import { seal, unseal } from '@nemo/domain/vault'
import { appendAudit } from '@nemo/postgres/audit'
import { createInvitation } from '@nemo/postgres/invitations'
import { countAgainst } from '@nemo/postgres/rate-limits'
import { endSsoSessions } from '@nemo/postgres/sessions'
import {
  deleteSsoConnection,
  findSsoDoor,
  readSsoConnection,
  type SsoConnectionRow,
  type SsoDoor,
  saveSsoConnection,
} from '@nemo/postgres/sso-connections'
import { inTransaction } from '@nemo/postgres/tenancy'
import { findAccount } from '@nemo/postgres/users'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Control } from '../control.ts'
import { identify } from '../http/authenticate.ts'
import type { Handlers, TenantActor } from '../http/call.ts'
import { aboveYourRole, notFound, tooMany } from '../http/errors.ts'
import { auditAccount } from '../identity/audit-account.ts'
import { invitationLetter } from '../identity/letters.ts'
import { takeCode } from '../identity/second-factor.ts'
import { newSecret } from '../identity/secrets.ts'
import { startSession } from '../identity/start-session.ts'
import { meOf } from '../me/routes.ts'
import { type Checks, type Claimant, type Door, gitHubDoor, openIdDoor } from './openid.ts'
import { identitiesAt, memberOf, type Newcomer, NotLetIn, userOf } from './sign-in.ts'
import { keepUnderWay, takeUnderWay } from './under-way.ts'

export const federationHandlers: Handlers<typeof federationRoutes> = {
  listSignInProviders: async ({ control }) => ({
    object: 'list',
    data: control.settings.signInProviders.map(({ id }) => ({ id })),
  }),

  startOAuth: ({ control, params, reply }) => {
    const door = platformDoor(control, params.provider)
    return leave(control, reply, door, params.provider, platformCallback(control, params.provider))
  },

  finishOAuth: ({ control, params, request, reply }) => {
    const door = platformDoor(control, params.provider)
    const callback = platformCallback(control, params.provider)
    return arrive(control, request, reply, { door, provider: params.provider, callback }, async (claimant) => {
      const userId = await userOf(control, params.provider, claimant, request.ip)
      const account = (await findAccount(control.identity, userId))!
      if (!account.totpConfirmed) return enter(control, request, reply, userId)
      keepUnderWay(control, reply, { kind: 'second-factor', userId })
      return { location: `${control.publicUrl}/sign-in#second-factor` }
    })
  },

  startSso: async ({ control, params, reply }) => {
    const found = await findSsoDoor(control.identity, params.slug)
    if (!found) return refused(control, 'sso_unavailable')
    const { organizationId } = found
    return leave(control, reply, ssoDoor(control, found), `sso:${organizationId}`, ssoCallback(control, organizationId))
  },

  finishSso: async ({ control, params, request, reply, ip }) => {
    const found = await findSsoDoor(control.identity, params.organization_id)
    if (!found) return refused(control, 'sso_unavailable')
    const { organizationId } = found
    const callback = ssoCallback(control, organizationId)
    const at = { door: ssoDoor(control, found), provider: `sso:${organizationId}`, callback }
    return arrive(control, request, reply, at, async (claimant) => {
      const who = await memberOf(control, found, claimant)
      if (typeof who !== 'string') {
        await inviteNewcomer(control, found, who, ip)
        const { email, name } = who
        const provider = identitiesAt(found)
        const { subject } = claimant
        keepUnderWay(control, reply, { kind: 'joining', organizationId, provider, subject, email, name })
        return { location: `${control.publicUrl}/sign-in#confirm-address` }
      }
      // Any page can lead a browser here by way of a provider of its own choosing: whoever is signed in stays who he is.
      const present = await identify(control, request).catch(() => null)
      if (present && present.userId !== who) throw new NotLetIn('signed_in_otherwise')
      return enter(control, request, reply, who, organizationId)
    })
  },

  giveSecondFactor: async ({ control, body, request, reply, ip }) => {
    const underWay = takeUnderWay(control, request, reply)
    const account = underWay?.kind === 'second-factor' ? await findAccount(control.identity, underWay.userId) : null
    if (!account) throw new ApiError(400, 'sign_in_expired', 'Begin again: this took too long.')
    // From all addresses: who guesses codes came past the provider, and may come from anywhere.
    const seconds = await countAgainst(control.identity, [{ bucket: `code of ${account.id}`, max: 30, seconds: 3600 }])
    if (seconds !== null) throw tooMany(seconds)
    const caller = await inTransaction(control.identity, async (tx) => {
      if (!(await takeCode(control, tx, account, body.code))) return null
      const signedIn = await startSession(control, tx, { request, reply }, account.id)
      await auditAccount(tx, { ...account, address: ip }, 'user.signed_in')
      return signedIn
    })
    if (!caller) {
      keepUnderWay(control, reply, { kind: 'second-factor', userId: account.id })
      throw new ApiError(401, 'invalid_code', 'The code is wrong, or was used already.', { param: 'code' })
    }
    return meOf(caller)
  },

  getSso: async ({ control, tenant, actor }) => {
    const connection = await tenant(readSsoConnection)
    if (!connection) throw notFound('SSO connection')
    return write(control, actor, connection)
  },

  updateSso: async ({ control, tenant, actor, body, audit }) => {
    const { issuer, client_id: clientId, client_secret, default_role: defaultRole } = body
    const { organizationId } = actor
    if (defaultRole !== null && !reaches(actor.role, defaultRole)) throw aboveYourRole()
    await requireUsable(control, { issuer, clientId, clientSecret: client_secret })
    const clientSecret = seal(control.masterKey, client_secret, ssoContext(organizationId))
    const saved = await tenant(async (tx) => {
      const before = await readSsoConnection(tx)
      const after = await saveSsoConnection(tx, { organizationId, issuer, clientId, clientSecret, defaultRole })
      await audit(tx, {
        action: 'sso.updated',
        subject: { type: 'sso_connection', id: organizationId, label: issuer },
        before: before && { issuer: before.issuer, client_id: before.clientId, default_role: before.defaultRole },
        after: { issuer, client_id: clientId, default_role: defaultRole },
      })
      return after
    })
    await endSsoSessions(control.identity, organizationId)
    return write(control, actor, saved)
  },

  deleteSso: async ({ control, tenant, actor, audit }) => {
    await tenant(async (tx) => {
      if (!(await deleteSsoConnection(tx))) throw notFound('SSO connection')
      await audit(tx, { action: 'sso.deleted', subject: { type: 'sso_connection', id: actor.organizationId } })
    })
    await endSsoSessions(control.identity, actor.organizationId)
    return { object: 'sso_connection', deleted: true }
  },
}

/** What the secret of an organization's client is sealed as. */
function ssoContext(organizationId: string): string {
  return `sso ${organizationId}`
}

function platformDoor({ settings }: Control, id: string): Door {
  const provider = settings.signInProviders.find((one) => one.id === id)
  if (!provider) throw notFound('sign-in provider')
  return id === 'github' ? gitHubDoor(provider) : openIdDoor({ ...provider, issuer: provider.url }, null)
}

function platformCallback({ publicUrl }: Control, id: string): string {
  return `${publicUrl}/api/auth/oauth/${id}/callback`
}

function ssoDoor({ masterKey, outbound }: Control, { organizationId, issuer, clientId, clientSecret }: SsoDoor): Door {
  const secret = unseal(masterKey, clientSecret, ssoContext(organizationId))
  return openIdDoor({ issuer, clientId, clientSecret: secret }, outbound)
}

function ssoCallback({ publicUrl }: Control, organizationId: string): string {
  return `${publicUrl}/api/auth/sso/${organizationId}/callback`
}

/** Mails who is new to the platform what an admin's invitation would: with its link he proves his address. Throws 429 where somebody has that done again and again. */
async function inviteNewcomer(
  { identity, operator, mail, publicUrl }: Control,
  { organizationId, organizationName }: SsoDoor,
  { email, role }: Newcomer,
  address: string,
): Promise<void> {
  const bucket = `newcomer ${email.toLowerCase()}`
  const seconds = await countAgainst(identity, [{ bucket, max: 5, seconds: 3600 }])
  if (seconds !== null) throw tooMany(seconds)
  const { secret, hash } = newSecret()
  await inTransaction(operator, async (tx) => {
    const { id } = await createInvitation(tx, { organizationId, email, role, hash, invitedBy: null })
    await appendAudit(tx, {
      organizationId,
      actor: { kind: 'system', id: null, label: 'sso' },
      address,
      action: 'invitation.created',
      subject: { type: 'invitation', id, label: email },
      after: { email, role, via: 'sso' },
    })
  })
  const inviter = `The sign-in of ${organizationName}`
  mail.send(invitationLetter(email, publicUrl, { token: secret, organization: organizationName, inviter, role }))
}

function leave(control: Control, reply: FastifyReply, door: Door, provider: string, callback: string) {
  return letIn(control, async () => {
    const { url, checks } = await door.begin(callback)
    keepUnderWay(control, reply, { kind: 'elsewhere', provider, checks })
    return { location: url }
  })
}

async function arrive(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  { door, provider, callback }: { door: Door; provider: string; callback: string },
  welcome: (claimant: Claimant) => Promise<{ location: string }>,
): Promise<{ location: string }> {
  const underWay = takeUnderWay(control, request, reply)
  if (underWay?.kind !== 'elsewhere' || underWay.provider !== provider) return refused(control, 'sign_in_expired')
  const checks: Checks = underWay.checks
  return letIn(control, async () => welcome(await door.finish(currentUrl(request, callback), checks)))
}

/** The address that was called, as it is registered at the provider: not as the request names it. */
function currentUrl(request: FastifyRequest, callback: string): URL {
  const url = new URL(callback)
  url.search = new URL(request.url, 'http://localhost').search
  return url
}

async function enter(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  userId: string,
  ssoOrganizationId?: string,
): Promise<{ location: string }> {
  await inTransaction(control.identity, async (tx) => {
    const { email } = await startSession(control, tx, { request, reply }, userId, ssoOrganizationId)
    await auditAccount(tx, { id: userId, email, address: request.ip }, 'user.signed_in')
  })
  return { location: `${control.publicUrl}/` }
}

/** Sends a person back to the page where he began, which says why, instead of showing him JSON. */
async function letIn(control: Control, act: () => Promise<{ location: string }>): Promise<{ location: string }> {
  try {
    return await act()
  } catch (err) {
    if (err instanceof NotLetIn) return refused(control, err.code)
    if (err instanceof ApiError) return refused(control, err.code)
    control.log.warn({ err }, 'a sign-in by way of a provider failed')
    return refused(control, 'provider_failed')
  }
}

function refused({ publicUrl }: Control, code: string): { location: string } {
  return { location: `${publicUrl}/sign-in#error=${code}` }
}

/** Throws 400 when there is no such provider, or none that may be called. */
async function requireUsable(
  { outbound, publicUrl }: Control,
  client: { issuer: string; clientId: string; clientSecret: string },
): Promise<void> {
  try {
    outbound.check(client.issuer)
    await openIdDoor(client, outbound).begin(publicUrl)
  } catch (cause) {
    throw new ApiError(400, 'issuer_unusable', 'No OpenID provider answers there that may be called.', {
      param: 'issuer',
      cause,
    })
  }
}

function write(
  control: Control,
  { organizationId, caller }: TenantActor,
  row: SsoConnectionRow,
): z.input<typeof ssoConnection> {
  return {
    object: 'sso_connection',
    issuer: row.issuer,
    client_id: row.clientId,
    default_role: row.defaultRole,
    redirect_uri: ssoCallback(control, organizationId),
    sign_in_url: `${control.publicUrl}/api/auth/sso/${caller.organization!.slug}`,
    created_at: row.createdAt,
    updated_at: row.updatedAt,
  }
}
