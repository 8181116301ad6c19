import { newSecret } from '@nemo/control/identity/secrets'
import { hasOperator, saveOperatorClaim } from '@nemo/postgres/operators'
import type pg from 'pg'

export const CLAIM_HOURS = 24

/** What makes whoever has it the operator, once: to be printed, and never logged. */
export interface OperatorClaim {
  readonly token: string
  /** For the shell, with address and password to be filled in: as it is, it is refused. */
  readonly curl: string
}

/** Null where there is an operator already. `publicUrl` has no slash at its end. */
export async function newOperatorClaim(operator: pg.Pool, publicUrl: string): Promise<OperatorClaim | null> {
  if (await hasOperator(operator)) return null
  const { secret: token, hash } = newSecret()
  await saveOperatorClaim(operator, hash, CLAIM_HOURS)
  const body = JSON.stringify({ token, email: '…', password: '…', name: '…' })
  return {
    token,
    curl: `curl -sS ${publicUrl}/api/operator/claim -H 'Content-Type: application/json' -d '${body}'`,
  }
}
