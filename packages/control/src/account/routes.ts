import type { accountRoutes } from '@nemo/api/account'
import { pageOf } from '@nemo/api/page'
import { ApiError } from '@nemo/domain/errors'
import { seal } from '@nemo/domain/vault'
import { createPersonalToken, listPersonalTokens, revokePersonalToken } from '@nemo/postgres/personal-tokens'
import { confirmTotp, removeTotp, replaceRecoveryCodes, startTotp } from '@nemo/postgres/second-factor'
import { endSession, endSessionsBut, listSessions } from '@nemo/postgres/sessions'
import { inTransaction, type Transaction, withOrganization } from '@nemo/postgres/tenancy'
import { type Account, deleteUser, lockAccount, setPassword } from '@nemo/postgres/users'
import type { Control } from '../control.ts'
import type { Actor, Handlers } from '../http/call.ts'
import { clearSessionCookie } from '../http/cookies.ts'
import { conflict, hasOrganization, notFound } from '../http/errors.ts'
import { auditAccount, type Person } from '../identity/audit-account.ts'
import { accountChangedLetter, accountDeletedLetter } from '../identity/letters.ts'
import { takeCode, takeTotpCode, totpContext } from '../identity/second-factor.ts'
import { hashSecret, newPersonalToken } from '../identity/secrets.ts'
import { newRecoveryCodes, newTotpSecret, plainRecoveryCode, totpUri } from '../identity/totp.ts'

const TOKENS_MAX = 50

export const accountHandlers: Handlers<typeof accountRoutes> = {
  changePassword: async ({ control, actor, body }) => {
    await requirePassword(control, actor, body.current_password)
    const passwordHash = await control.passwords.hash(body.new_password)
    await inTransaction(control.identity, async (tx) => {
      await setPassword(tx, actor.userId, passwordHash)
      await endSessionsBut(tx, actor.userId, actor.caller.sessionId)
      await auditAccount(tx, personOf(actor), 'user.password_changed')
    })
    tell(control, actor, 'Your password was changed')
    return { object: 'password', changed: true }
  },

  startTotp: async ({ control, actor, body }) => {
    const account = await requirePassword(control, actor, body.password)
    if (account.totpConfirmed) throw conflict('totp_enabled', 'You have an authenticator: disable it first.')
    const secret = newTotpSecret()
    await startTotp(control.identity, actor.userId, seal(control.masterKey, secret, totpContext(actor.userId)))
    return { object: 'totp', secret, uri: totpUri(secret, actor.email) }
  },

  confirmTotp: async ({ control, actor, body }) => {
    const codes = newRecoveryCodes()
    await inTransaction(control.identity, async (tx) => {
      const account = await lockAccount(tx, actor.userId)
      if (account.totpConfirmed) throw conflict('totp_enabled', 'You have confirmed it already.')
      if (account.totpSecret === null) throw conflict('totp_not_started', 'Get a secret for your authenticator first.')
      if (!(await takeTotpCode(control, tx, account, body.code))) throw invalidCode()
      await confirmTotp(tx, actor.userId)
      await replaceRecoveryCodes(tx, actor.userId, codes.map(hashOfRecoveryCode))
      await auditAccount(tx, personOf(actor), 'user.totp_enabled')
    })
    tell(control, actor, 'An authenticator was added to your account')
    return { object: 'recovery_codes', recovery_codes: codes }
  },

  disableTotp: async ({ control, actor, body }) => {
    await requirePassword(control, actor, body.password)
    await withSecondFactor(control, actor, body.code, async (tx) => {
      await removeTotp(tx, actor.userId)
      await auditAccount(tx, personOf(actor), 'user.totp_disabled')
    })
    tell(control, actor, 'The authenticator was removed from your account')
    return { object: 'totp', deleted: true }
  },

  renewRecoveryCodes: async ({ control, actor, body }) => {
    await requirePassword(control, actor, body.password)
    const codes = newRecoveryCodes()
    await withSecondFactor(control, actor, body.code, async (tx) => {
      await replaceRecoveryCodes(tx, actor.userId, codes.map(hashOfRecoveryCode))
      await auditAccount(tx, personOf(actor), 'user.recovery_codes_renewed')
    })
    return { object: 'recovery_codes', recovery_codes: codes }
  },

  listSessions: async ({ control, actor }) => {
    const sessions = await listSessions(control.identity, actor.userId)
    return pageOf(
      sessions.map((session) => ({
        id: session.id,
        object: 'session' as const,
        address: session.address,
        user_agent: session.userAgent,
        current: session.id === actor.caller.sessionId,
        created_at: session.createdAt,
        last_seen_at: session.lastSeenAt,
        expires_at: session.expiresAt,
      })),
      sessions.length,
    )
  },

  endSession: async ({ control, actor, params }) => {
    await inTransaction(control.identity, async (tx) => {
      if (!(await endSession(tx, actor.userId, params.id))) throw notFound('session')
      await auditAccount(tx, personOf(actor), 'user.session_ended', { before: { id: params.id } })
    })
    return { id: params.id, object: 'session', deleted: true }
  },

  endOtherSessions: async ({ control, actor }) => {
    const ended = await inTransaction(control.identity, async (tx) => {
      const count = await endSessionsBut(tx, actor.userId, actor.caller.sessionId)
      await auditAccount(tx, personOf(actor), 'user.sessions_ended', { after: { ended: count } })
      return count
    })
    return { object: 'session', ended }
  },

  deleteAccount: async ({ control, actor, body, reply }) => {
    await requirePassword(control, actor, body.password)
    if (actor.caller.isOperator) throw conflict('is_operator', 'The operator’s account can’t be deleted.')
    if (!(await deleteUser(control.operator, actor.userId))) throw hasOrganization()
    clearSessionCookie(control, reply)
    control.mail.send(accountDeletedLetter(actor.email, control.publicUrl))
    return { object: 'user', deleted: true }
  },

  listTokens: async ({ control, actor }) => {
    if (actor.organizationId === null) return pageOf([], 1)
    const tokens = await withOrganization(control.app, actor.organizationId, (tx) =>
      listPersonalTokens(tx, actor.userId),
    )
    return pageOf(tokens.map(writeToken), TOKENS_MAX)
  },

  createToken: async ({ control, actor, body, audit }) => {
    const { organizationId, userId } = actor
    if (organizationId === null)
      throw new ApiError(403, 'no_organization', 'A token is for an organization, and you belong to none.')
    const { secret, hash, hint } = newPersonalToken()
    const { name, expires_in_days: expiresInDays } = body
    const created = await withOrganization(control.app, organizationId, async (tx) => {
      if ((await listPersonalTokens(tx, userId)).length >= TOKENS_MAX)
        throw conflict('too_many_tokens', `You have ${TOKENS_MAX} tokens: revoke one that you don't need.`)
      const token = await createPersonalToken(tx, { organizationId, userId, name, hash, hint, expiresInDays })
      await audit(tx, {
        action: 'personal_token.created',
        subject: { type: 'personal_token', id: token.id, label: name },
        after: { name, hint, expires_at: token.expiresAt?.toISOString() ?? null },
      })
      return token
    })
    // Another password doesn't end it, so that whose account it is must hear of it.
    tell(control, actor, 'A personal token was created for your account')
    return { ...writeToken(created), token: secret }
  },

  revokeToken: async ({ control, actor, params, audit }) => {
    const { organizationId } = actor
    if (organizationId === null) throw notFound('personal token')
    await withOrganization(control.app, organizationId, async (tx) => {
      const name = await revokePersonalToken(tx, actor.userId, params.id)
      if (name === null) throw notFound('personal token')
      await audit(tx, {
        action: 'personal_token.revoked',
        subject: { type: 'personal_token', id: params.id, label: name },
      })
    })
    return { id: params.id, object: 'personal_token', deleted: true }
  },
}

/** Asks for the password again where an open screen shouldn't be enough. Throws 403: it is no 401, the session stays. */
async function requirePassword({ identity, passwords }: Control, actor: Actor, password: string): Promise<Account> {
  const account = await inTransaction(identity, (tx) => lockAccount(tx, actor.userId))
  if (!(await passwords.matches(password, account.passwordHash)))
    throw new ApiError(403, 'wrong_password', 'The password is wrong.', { param: 'password' })
  return account
}

async function withSecondFactor(
  control: Control,
  actor: Actor,
  code: string,
  act: (tx: Transaction) => Promise<void>,
): Promise<void> {
  await inTransaction(control.identity, async (tx) => {
    const account = await lockAccount(tx, actor.userId)
    if (!account.totpConfirmed) throw conflict('totp_not_enabled', 'You have no authenticator.')
    if (!(await takeCode(control, tx, account, code))) throw invalidCode()
    await act(tx)
  })
}

function invalidCode(): ApiError {
  return new ApiError(400, 'invalid_code', 'The code is wrong, or was used already.', { param: 'code' })
}

function hashOfRecoveryCode(code: string): Buffer {
  return hashSecret(plainRecoveryCode(code))
}

function tell({ mail, publicUrl }: Control, { email }: Actor, what: string): void {
  mail.send(accountChangedLetter(email, publicUrl, what))
}

function personOf({ userId, email, ip }: Actor): Person {
  return { id: userId, email, address: ip }
}

function writeToken(token: Awaited<ReturnType<typeof listPersonalTokens>>[number]) {
  return {
    id: token.id,
    object: 'personal_token' as const,
    name: token.name,
    hint: token.hint,
    created_at: token.createdAt,
    expires_at: token.expiresAt,
    last_used_at: token.lastUsedAt,
  }
}
