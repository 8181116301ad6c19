import type pg from 'pg'
import { migrationStatus } from './migrate.ts'

export interface PlatformHealth {
  readonly database: {
    readonly version: string
    readonly bytes: bigint
    readonly connections: number
    readonly connectionsMax: number
    /** Milliseconds of one round trip. */
    readonly roundTripMs: number
    readonly pendingMigrations: readonly string[]
  }
  /** Those that are alive, and those that were lately. */
  readonly processes: readonly {
    readonly id: string
    readonly startedAt: Date
    readonly heartbeatAt: Date
    readonly state: 'alive' | 'silent' | 'dead'
    /** Lines of its journal that have been charged. */
    readonly appliedRecords: bigint
  }[]
  /** Deployments that are left out for now. */
  readonly cooling: readonly {
    readonly deploymentId: string
    readonly group: string
    readonly model: string
    readonly credential: string
    /** Null: for everyone. */
    readonly organizationId: string | null
    readonly fault: string
    readonly until: Date
  }[]
  readonly webhooks: { readonly pending: number; readonly oldestPendingAt: Date | null }
  /** Prices that wait for the operator. */
  readonly quarantinedPrices: number
}

/** How long a process may be silent; its allotments are freed after that. */
const SILENT = `interval '20 seconds'`

/** How the platform is, as far as the database tells. As the operator. */
export async function platformHealth(operator: pg.Pool): Promise<PlatformHealth> {
  const client = await operator.connect()
  try {
    const began = performance.now()
    await client.query('select 1')
    const roundTripMs = Math.round((performance.now() - began) * 100) / 100
    const rows = async (sql: string) => (await client.query(sql)).rows
    const [database] = await rows(
      `select current_setting('server_version') as version, pg_database_size(current_database()) as bytes,
              (select count(*)::int from pg_stat_activity where datname = current_database()) as connections, current_setting('max_connections')::int as "connectionsMax"`,
    )
    const { pending } = await migrationStatus(client)
    const [webhooks] = await rows(
      `select count(*)::int as pending, min(created_at) as "oldestPendingAt" from webhook_deliveries where state = 'pending'`,
    )
    const [quarantined] = await rows('select count(*)::int as n from quarantined_prices where rejected_at is null')
    return {
      database: { ...database, roundTripMs, pendingMigrations: pending },
      processes: await rows(
        `select p.id, p.started_at as "startedAt", p.heartbeat_at as "heartbeatAt", coalesce(j.applied_sequence, 0) as "appliedRecords",
                case when p.dead_at is not null then 'dead' when p.heartbeat_at > clock_timestamp() - ${SILENT} then 'alive' else 'silent' end as state
           from processes p left join journals j on j.process_id = p.id
          where p.dead_at is null or p.dead_at > clock_timestamp() - interval '1 hour'
          order by p.dead_at nulls first, p.started_at desc limit 200`,
      ),
      cooling: await rows(
        `select h.deployment_id as "deploymentId", g.name as "group", d.model_id as model, c.name as credential, h.organization_id as "organizationId",
                h.fault, h.cooling_until as until
           from deployment_health h join deployments d on d.id = h.deployment_id join model_groups g on g.id = d.group_id
           join provider_credentials c on c.id = d.credential_id
          where h.cooling_until > clock_timestamp() order by h.organization_id nulls first, h.cooling_until desc limit 200`,
      ),
      webhooks,
      quarantinedPrices: quarantined.n,
    }
  } finally {
    client.release()
  }
}
