import { uuidv7 } from '@nemo/domain/ids'
import type { Transaction } from './tenancy.ts'

/** A credential as it is shown: of its secret only that there is one. */
export interface CredentialRow {
  readonly id: string
  readonly name: string
  readonly provider: string
  readonly baseUrl: string | null
  readonly settings: Readonly<Record<string, string>>
  readonly hasSecret: boolean
  readonly deployments: number
  readonly createdAt: Date
}

const CREDENTIAL = `
  select c.id, c.name, c.provider, c.base_url as "baseUrl", c.settings, c.secret is not null as "hasSecret", c.created_at as "createdAt",
         (select count(*)::int from deployments d where d.credential_id = c.id) as deployments
    from provider_credentials c`

/** Newest first. As the operator. */
export async function pageOfCredentials(
  operator: Transaction,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<CredentialRow[]> {
  const { rows } = await operator.query(
    `${CREDENTIAL} where $1::uuid is null or c.id < $1 order by c.id desc limit $2`,
    [after ?? null, limit],
  )
  return rows
}

/** Null when there is none of that id. As the operator. */
export async function findCredential(operator: Transaction, id: string): Promise<CredentialRow | null> {
  return (await operator.query(`${CREDENTIAL} where c.id = $1`, [id])).rows[0] ?? null
}

/** The same, with nothing changed or deployed on it by others until the transaction ends. As the operator. */
export async function lockCredential(tx: Transaction, id: string): Promise<CredentialRow | null> {
  await tx.query('select 1 from provider_credentials where id = $1 for update', [id])
  return findCredential(tx, id)
}

/** Whether there is one of that id, which stays until the transaction ends. As the operator. */
export async function holdCredential(tx: Transaction, id: string): Promise<boolean> {
  return (await tx.query('select 1 from provider_credentials where id = $1 for key share', [id])).rowCount === 1
}

/** Its secret, sealed; null when it has none. As the operator. */
export async function sealedSecretOf(operator: Transaction, id: string): Promise<Buffer | null> {
  return (await operator.query('select secret from provider_credentials where id = $1', [id])).rows[0]?.secret ?? null
}

export interface NewCredential {
  readonly name: string
  readonly provider: string
  readonly baseUrl: string | null
  readonly settings: Readonly<Record<string, string>>
  /** Sealed to its name. */
  readonly secret: Buffer | null
}

/** Answers with its id; null when there is one of that name. As the operator. */
export async function createCredential(
  tx: Transaction,
  { name, provider, baseUrl, settings, secret }: NewCredential,
): Promise<string | null> {
  const { rows } = await tx.query(
    `insert into provider_credentials (id, name, provider, base_url, settings, secret) values ($1, $2, $3, $4, $5, $6)
     on conflict (name) do nothing returning id`,
    [uuidv7(), name, provider, baseUrl, settings, secret],
  )
  return rows[0]?.id ?? null
}

/** Changes where it is for, and its secret, where one is given: null takes it away. Every process knows within a second. As the operator. */
export async function updateCredential(
  tx: Transaction,
  id: string,
  { baseUrl, settings, secret }: Pick<NewCredential, 'baseUrl' | 'settings'> & { readonly secret?: Buffer | null },
): Promise<void> {
  await tx.query(
    'update provider_credentials set base_url = $2, settings = $3, secret = case when $4 then $5 else secret end where id = $1',
    [id, baseUrl, settings, secret !== undefined, secret ?? null],
  )
}

/** As the operator, with nothing deployed on it: what is would go with it. */
export async function deleteCredential(tx: Transaction, id: string): Promise<void> {
  await tx.query('delete from provider_credentials where id = $1', [id])
}
