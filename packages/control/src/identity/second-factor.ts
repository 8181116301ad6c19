import { unseal } from '@nemo/domain/vault'
import { takeRecoveryCode, takeTotpStep } from '@nemo/postgres/second-factor'
import type { Transaction } from '@nemo/postgres/tenancy'
import type { Account } from '@nemo/postgres/users'
import type { Control } from '../control.ts'
import { hashSecret } from './secrets.ts'
import { plainRecoveryCode, totpStepOf } from './totp.ts'

/** What the secret of a user's authenticator is sealed as. */
export function totpContext(userId: string): string {
  return `totp ${userId}`
}

/** Whether the code is one of the user's authenticator or one of his recovery codes, and takes it: the same code never counts twice. As nemo_identity. */
export async function takeCode(
  control: Control,
  identity: Transaction,
  account: Account,
  code: string,
): Promise<boolean> {
  if (/^\d{6}$/.test(code)) return takeTotpCode(control, identity, account, code)
  return takeRecoveryCode(identity, account.id, hashSecret(plainRecoveryCode(code)))
}

/** The same for codes of the authenticator only. */
export async function takeTotpCode(
  { masterKey }: Control,
  identity: Transaction,
  account: Account,
  code: string,
): Promise<boolean> {
  if (account.totpSecret === null) return false
  const step = totpStepOf(unseal(masterKey, account.totpSecret, totpContext(account.id)), code, Date.now())
  return step !== null && takeTotpStep(identity, account.id, step)
}
