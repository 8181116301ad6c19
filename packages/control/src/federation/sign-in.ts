import { email as emailSchema } from '@nemo/api/schema'
import { appendAudit } from '@nemo/postgres/audit'
import { findByExternalIdentity, linkExternalIdentity } from '@nemo/postgres/external-identities'
import { addMember, organizationOf } from '@nemo/postgres/members'
import { readPlatformSettings } from '@nemo/postgres/platform-settings'
import type { SsoDoor } from '@nemo/postgres/sso-connections'
import { inTransaction, type Transaction } from '@nemo/postgres/tenancy'
import { createUser, findAccountByEmail, isOperator } from '@nemo/postgres/users'
import type { Control } from '../control.ts'
import { foundFor } from '../organization/found.ts'
import type { Claimant } from './openid.ts'

/** Why somebody who proved who he is elsewhere isn't signed in here: what the page is told. */
export class NotLetIn extends Error {
  readonly code: 'no_email' | 'sign_up_closed' | 'account_exists' | 'not_a_member'
  constructor(code: NotLetIn['code']) {
    super(code)
    this.name = 'NotLetIn'
    this.code = code
  }
}

/**
 * The user of somebody whom Google or GitHub vouches for: the one that he came as before, else the one of his verified address, else a new one, as by a
 * sign-up. Answers with his id.
 */
export function userOf(control: Control, provider: string, claimant: Claimant, address: string): Promise<string> {
  return inTransaction(control.operator, async (tx) => {
    const known = await findByExternalIdentity(tx, provider, claimant.subject)
    if (known !== null) return known
    const email = claimant.emailVerified ? usable(claimant.email) : null
    if (email === null) throw new NotLetIn('no_email')
    const id =
      (await findAccountByEmail(tx, email))?.id ?? (await signUp(tx, { email, name: claimant.name ?? email, address }))
    await linkExternalIdentity(tx, provider, claimant.subject, id)
    return id
  })
}

async function signUp(
  operator: Transaction,
  { email, name, address }: { email: string; name: string; address: string },
): Promise<string> {
  if ((await readPlatformSettings(operator)).sign_up !== 'open') throw new NotLetIn('sign_up_closed')
  const id = await createUser(operator, { email, name, passwordHash: null })
  // Made at this very moment by another way in: the next try finds it.
  if (id === null) throw new NotLetIn('account_exists')
  await foundFor(operator, { id, email, address }, name)
  return id
}

/**
 * The member of an organization whom its own provider vouches for. It vouches for its members and nobody else: an account of another organization, of none, or
 * of the operator isn't its to open. Who is new to the platform becomes a member, where the organization wants that.
 */
export function memberOf(control: Control, door: SsoDoor, claimant: Claimant, address: string): Promise<string> {
  const { organizationId, defaultRole } = door
  const provider = `sso:${organizationId}`
  return inTransaction(control.operator, async (tx) => {
    const email = usable(claimant.email)
    const known = await findByExternalIdentity(tx, provider, claimant.subject)
    const existing = known ?? (email && (await findAccountByEmail(tx, email))?.id) ?? null
    if (existing !== null) {
      if ((await organizationOf(tx, existing)) !== organizationId || (await isOperator(tx, existing)))
        throw new NotLetIn(known === null ? 'account_exists' : 'not_a_member')
      await linkExternalIdentity(tx, provider, claimant.subject, existing)
      return existing
    }
    if (email === null) throw new NotLetIn('no_email')
    if (defaultRole === null) throw new NotLetIn('not_a_member')
    const id = await createUser(tx, { email, name: claimant.name ?? email, passwordHash: null })
    if (id === null || !(await addMember(tx, organizationId, id, defaultRole))) throw new NotLetIn('account_exists')
    await linkExternalIdentity(tx, provider, claimant.subject, id)
    await appendAudit(tx, {
      organizationId,
      actor: { kind: 'user', id, label: email },
      address,
      action: 'member.joined',
      subject: { type: 'member', id, label: email },
      after: { role: defaultRole, via: 'sso' },
    })
    return id
  })
}

/** An address that could have signed up. */
function usable(email: string | null): string | null {
  return emailSchema.safeParse(email).data ?? null
}
