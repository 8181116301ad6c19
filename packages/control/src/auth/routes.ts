import type { authRoutes } from '@nemo/api/auth'
import { ApiError } from '@nemo/domain/errors'
import { savePasswordReset, takePasswordReset } from '@nemo/postgres/password-resets'
import { readPlatformSettings } from '@nemo/postgres/platform-settings'
import { endSession, endSessionsBut } from '@nemo/postgres/sessions'
import { saveSignUp, takeSignUp } from '@nemo/postgres/sign-ups'
import { inTransaction } from '@nemo/postgres/tenancy'
import {
  type Account,
  createUser,
  findAccountByEmail,
  lockAccount,
  replacePasswordHash,
  setPassword,
} from '@nemo/postgres/users'
import type { Handlers } from '../http/call.ts'
import { clearSessionCookie } from '../http/cookies.ts'
import { linkInvalid } from '../http/errors.ts'
import { auditAccount } from '../identity/audit-account.ts'
import { accountChangedLetter, knownAddressLetter, passwordResetLetter, signUpLetter } from '../identity/letters.ts'
import { takeCode } from '../identity/second-factor.ts'
import { hashSecret, newSecret } from '../identity/secrets.ts'
import { startSession } from '../identity/start-session.ts'
import { meOf } from '../me/routes.ts'
import { foundFor } from '../organization/found.ts'

export const authHandlers: Handlers<typeof authRoutes> = {
  signUp: async ({ control, body }) => {
    const { identity, mail, publicUrl } = control
    const { sign_up } = await readPlatformSettings(identity)
    if (sign_up !== 'open')
      throw new ApiError(403, 'sign_up_closed', 'Accounts are for who was invited: ask somebody who has one.')
    // All of this whether the address is known or not: only the mail differs.
    const passwordHash = await control.passwords.hash(body.password)
    const { secret, hash } = newSecret()
    const { email, name } = body
    await saveSignUp(identity, hash, { email, name, organizationName: body.organization_name ?? name, passwordHash })
    const account = await findAccountByEmail(identity, email)
    mail.send(account ? knownAddressLetter(account.email, publicUrl) : signUpLetter(email, publicUrl, secret))
    return { object: 'sign_up', status: 'mail_sent' }
  },

  verifyEmail: async ({ control, body, request, reply, ip }) => {
    const userId = await inTransaction(control.operator, async (tx) => {
      const signUp = await takeSignUp(tx, hashSecret(body.token))
      const id = signUp && (await createUser(tx, signUp))
      if (!signUp || id === null) throw linkInvalid()
      await foundFor(tx, { id, email: signUp.email, address: ip }, signUp.organizationName)
      return id
    })
    const caller = await inTransaction(control.identity, (tx) => startSession(control, tx, { request, reply }, userId))
    return meOf(caller)
  },

  signIn: async ({ control, body, request, reply, ip }) => {
    const { identity, passwords } = control
    const account = await findAccountByEmail(identity, body.email)
    const isRight = await passwords.matches(body.password, account?.passwordHash ?? null)
    if (!account || !isRight) {
      if (account) noteFailure(control, { ...account, address: ip }, 'password')
      throw new ApiError(401, 'invalid_credentials', 'The address or the password is wrong.')
    }
    if (account.totpConfirmed && body.code === undefined)
      throw new ApiError(401, 'totp_required', 'Send the code of your authenticator, or a recovery code, too.', {
        param: 'code',
      })
    const caller = await inTransaction(identity, async (tx) => {
      if (account.totpConfirmed && !(await takeCode(control, tx, account, body.code!))) return null
      const signedIn = await startSession(control, tx, { request, reply }, account.id)
      await auditAccount(tx, { ...account, address: ip }, 'user.signed_in')
      return signedIn
    })
    if (!caller) {
      noteFailure(control, { ...account, address: ip }, 'code')
      throw new ApiError(401, 'invalid_code', 'The code is wrong, or was used already.', { param: 'code' })
    }
    keepAnew(control, account, body.password)
    return meOf(caller)
  },

  signOut: async ({ control, actor, reply }) => {
    const { sessionId } = actor.caller
    if (sessionId) await endSession(control.identity, actor.userId, sessionId)
    clearSessionCookie(control, reply)
    return { object: 'session', deleted: true }
  },

  forgotPassword: async ({ control, body }) => {
    const { identity, later, mail, publicUrl } = control
    // After the answer: whether there is such an account changes nothing of it, nor of when it comes.
    later.run('a mail for another password', async () => {
      const account = await findAccountByEmail(identity, body.email)
      if (!account) return
      const { secret, hash } = newSecret()
      await savePasswordReset(identity, hash, account.id)
      mail.send(passwordResetLetter(account.email, publicUrl, secret))
    })
    return { object: 'password_reset', status: 'mail_sent' }
  },

  resetPassword: async ({ control, body, ip }) => {
    const passwordHash = await control.passwords.hash(body.password)
    const account = await inTransaction(control.identity, async (tx) => {
      const userId = await takePasswordReset(tx, hashSecret(body.token))
      if (userId === null) throw linkInvalid()
      const changed = await lockAccount(tx, userId)
      await setPassword(tx, userId, passwordHash)
      await endSessionsBut(tx, userId, null)
      await auditAccount(tx, { ...changed, address: ip }, 'user.password_reset')
      return changed
    })
    control.mail.send(accountChangedLetter(account.email, control.publicUrl, 'Your password was changed'))
    return { object: 'password', changed: true }
  },
}

/** Where what a hash costs was changed since, so that all cost the same again. */
function keepAnew(
  { identity, later, passwords }: Parameters<typeof startSession>[0],
  { id, passwordHash: before }: Account,
  password: string,
): void {
  if (before === null || !passwords.isOutdated(before)) return
  later.run('keeping a password anew', async () =>
    replacePasswordHash(identity, id, { before, after: await passwords.hash(password) }),
  )
}

/** Later, since there is nothing of the kind to do for an address that is unknown. */
function noteFailure(
  { identity, later }: Parameters<typeof startSession>[0],
  { id, email, address }: { id: string; email: string; address: string },
  wrong: 'password' | 'code',
): void {
  later.run('noting a failed sign-in', () =>
    inTransaction(identity, (tx) =>
      auditAccount(tx, { id, email, address }, 'user.sign_in_failed', { after: { wrong } }),
    ),
  )
}
