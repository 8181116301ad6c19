import { hash } from 'node:crypto'
import { email as emailSchema } from '@nemo/api/schema'
import type { Role } from '@nemo/domain/roles'
import { findByExternalIdentity, linkExternalIdentity } from '@nemo/postgres/external-identities'
import { roleInvitedAs } from '@nemo/postgres/invitations'
import { organizationOf } from '@nemo/postgres/members'
import { readPlatformSettings } from '@nemo/postgres/platform-settings'
import type { SsoDoor } from '@nemo/postgres/sso-connections'
import { inTransaction, type Transaction } from '@nemo/postgres/tenancy'
import { createUser, findAccountByEmail, isOperator } from '@nemo/postgres/users'
import type { Control } from '../control.ts'
import { foundFor } from '../organization/found.ts'
import type { Claimant } from './openid.ts'

/** Why somebody who proved who he is elsewhere isn't signed in here: what the page is told. */
export class NotLetIn extends Error {
  readonly code: 'no_email' | 'sign_up_closed' | 'account_exists' | 'not_a_member' | 'signed_in_otherwise'
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
    const email = claimant.emailVerified === true ? usable(claimant.email) : null
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

/** Somebody new to the platform whom an organization's provider named. */
export interface Newcomer {
  readonly email: string
  readonly name: string
  readonly role: Role
}

/**
 * The member of an organization whom its own provider vouches for. It vouches for its members and nobody else: an account of another organization, of none, or
 * of the operator isn't its to open. Nor is an address proven by its word, which is the organization's own: who is new to the platform is a newcomer, whom a mail
 * must reach.
 */
export function memberOf(control: Control, door: SsoDoor, claimant: Claimant): Promise<string | Newcomer> {
  const { organizationId, defaultRole } = door
  return inTransaction(control.operator, async (tx) => {
    const email = usable(claimant.email)
    const known = await findByExternalIdentity(tx, identitiesAt(door), claimant.subject)
    const existing = known ?? (email && (await findAccountByEmail(tx, email))?.id) ?? null
    if (existing !== null) {
      if ((await organizationOf(tx, existing)) !== organizationId || (await isOperator(tx, existing)))
        throw new NotLetIn(known === null ? 'account_exists' : 'not_a_member')
      // Where people may write any address into their profile, a provider says that it hasn't verified it.
      if (known === null && claimant.emailVerified === false) throw new NotLetIn('no_email')
      await linkExternalIdentity(tx, identitiesAt(door), claimant.subject, existing)
      return existing
    }
    if (email === null) throw new NotLetIn('no_email')
    const role = (await roleInvitedAs(tx, organizationId, email)) ?? defaultRole
    if (role === null) throw new NotLetIn('not_a_member')
    return { email, name: claimant.name ?? email, role }
  })
}

/** Whose subjects they are: another provider of the same organization may call somebody else the same. */
export function identitiesAt({ organizationId, issuer }: Pick<SsoDoor, 'organizationId' | 'issuer'>): string {
  return `sso:${organizationId}:${hash('sha256', issuer, 'hex').slice(0, 32)}`
}

/** An address that could have signed up. */
function usable(email: string | null): string | null {
  return emailSchema.safeParse(email).data ?? null
}
