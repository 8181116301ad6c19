import { uuidv7 } from '@nemo/domain/ids'
import type { Role } from '@nemo/domain/roles'
import type { Transaction } from './tenancy.ts'

export interface SsoConnectionRow {
  readonly issuer: string
  readonly clientId: string
  readonly defaultRole: Exclude<Role, 'owner'> | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

const COLUMNS = `issuer, client_id as "clientId", default_role as "defaultRole", created_at as "createdAt", updated_at as "updatedAt"`

/** Null when there is none. As nemo_app of the organization. */
export async function readSsoConnection(tx: Transaction): Promise<SsoConnectionRow | null> {
  return (await tx.query(`select ${COLUMNS} from sso_connections`)).rows[0] ?? null
}

/** In the place of what there was. The values are named again, since `excluded` would have to be read, and nobody may read the secret. As nemo_app of the organization. */
export async function saveSsoConnection(
  tx: Transaction,
  connection: Pick<SsoConnectionRow, 'issuer' | 'clientId' | 'defaultRole'> & {
    organizationId: string
    /** Sealed. */
    clientSecret: Buffer
  },
): Promise<SsoConnectionRow> {
  const { rows } = await tx.query(
    `insert into sso_connections (id, organization_id, issuer, client_id, client_secret, default_role) values ($6, $1, $2, $3, $4, $5)
     on conflict (organization_id) do update set issuer = $2, client_id = $3, client_secret = $4, default_role = $5, updated_at = clock_timestamp()
     returning ${COLUMNS}`,
    [
      connection.organizationId,
      connection.issuer,
      connection.clientId,
      connection.clientSecret,
      connection.defaultRole,
      uuidv7(),
    ],
  )
  return rows[0]
}

/** As nemo_app of the organization. */
export async function deleteSsoConnection(tx: Transaction): Promise<boolean> {
  return (await tx.query('delete from sso_connections where organization_id = current_organization()')).rowCount === 1
}

/** What signing in by it needs. */
export interface SsoDoor {
  readonly organizationId: string
  readonly organizationName: string
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: Buffer
  readonly defaultRole: Exclude<Role, 'owner'> | null
}

/** The organization's by its slug or its id; null when it has none, or isn't there. As nemo_identity. */
export async function findSsoDoor(identity: Transaction, slugOrId: string): Promise<SsoDoor | null> {
  const { rows } = await identity.query(
    `select c.organization_id as "organizationId", o.name as "organizationName", c.issuer, c.client_id as "clientId", c.client_secret as "clientSecret", c.default_role as "defaultRole"
       from sso_connections c join organizations o on o.id = c.organization_id
      where (o.slug = $1 or o.id::text = $1) and o.deleted_at is null`,
    [slugOrId],
  )
  return rows[0] ?? null
}
