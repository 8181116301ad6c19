import type pg from 'pg'
import { inTransaction, type Transaction } from './tenancy.ts'

interface Place {
  readonly table: string
  readonly column: string
  /** What its secrets are sealed for, as SQL over the row. */
  readonly context: string
}

/** Every column that holds something sealed under the master key. A test holds it against all columns of bytes that there are. */
export const SEALED: readonly Place[] = [
  { table: 'provider_credentials', column: 'secret', context: 'name' },
  { table: 'webhook_endpoints', column: 'secret', context: `'webhook ' || id` },
  { table: 'webhook_endpoints', column: 'previous_secret', context: `'webhook ' || id` },
  { table: 'users', column: 'totp_secret', context: `'totp ' || id` },
  { table: 'sso_connections', column: 'client_secret', context: `'sso ' || organization_id` },
]

export interface SealedSecret {
  readonly place: string
  readonly id: string
  readonly context: string
  readonly sealed: Buffer
}

export interface Progress {
  readonly place: string
  readonly seen: number
  readonly changed: number
}

const BATCH = 200
/** One at a time, of all processes. */
const LOCK = 7_203_311_893n

/**
 * Gives every sealed secret to `change`, and keeps what comes back in its place; null leaves it. All or nothing: what `change` throws undoes everything. Rows are
 * held until the end, so that none is sealed the old way meanwhile. As the operator.
 */
export async function changeSealedSecrets(
  operator: pg.Pool,
  change: (secret: SealedSecret) => Buffer | null,
  onProgress: (progress: Progress) => void,
): Promise<Progress[]> {
  return inTransaction(operator, async (tx) => {
    await tx.query('set local statement_timeout = 0')
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK])
    const report: Progress[] = []
    for (const place of SEALED) {
      const progress = { place: `${place.table}.${place.column}`, seen: 0, changed: 0 }
      for await (const secret of secretsAt(tx, place, true)) {
        const changed = change(secret)
        if (changed) {
          await tx.query(`update ${place.table} set ${place.column} = $2 where id = $1`, [secret.id, changed])
          progress.changed++
        }
        if (++progress.seen % BATCH === 0) onProgress({ ...progress })
      }
      onProgress({ ...progress })
      report.push(progress)
    }
    return report
  })
}

/** Every sealed secret, as it is. As the operator. */
export async function* sealedSecrets(operator: Pick<pg.Pool, 'query'>): AsyncGenerator<SealedSecret> {
  for (const place of SEALED) yield* secretsAt(operator, place, false)
}

async function* secretsAt(
  tx: Pick<Transaction, 'query'>,
  { table, column, context }: Place,
  hold: boolean,
): AsyncGenerator<SealedSecret> {
  let last: string | null = null
  for (;;) {
    const { rows }: { rows: { id: string; sealed: Buffer; context: string }[] } = await tx.query(
      `select id, ${column} as sealed, ${context} as context from ${table}
        where ${column} is not null and ($1::uuid is null or id > $1) order by id limit ${BATCH} ${hold ? 'for update' : ''}`,
      [last],
    )
    for (const row of rows) yield { place: `${table}.${column}`, ...row }
    if (rows.length < BATCH) return
    last = rows.at(-1)!.id
  }
}
