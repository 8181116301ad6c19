import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { uuidv7 } from '@nemo/domain/ids'
import type { Limit } from '@nemo/domain/limits'
import { startEmbeddedPostgres } from '@nemo/embedded-postgres/embedded-postgres'
import { namedProcess } from '@nemo/embedded-postgres/process-identity'
import type { Ask } from '@nemo/ledger/ask'
import { Ledger, type Reservation, type Settlement } from '@nemo/ledger/ledger'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { connect } from '@nemo/postgres/connect'
import { migrate } from '@nemo/postgres/migrate'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import pg from 'pg'

/** What a request may cost and use, and what it comes to. */
export const CEILING_NANOS = 200_000n
const COST_NANOS = 63_000n
export const TOKENS_LIKELY = 400n
const TOKENS = 264

/** A gateway has as many: see packages/gateway. */
export const CONNECTIONS = 8
const PROOF_TIMEOUT_MS = 300_000
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

export interface World {
  readonly url: string
  readonly folder: string
  /** Of the server: its CPU time is that of its family. */
  readonly postgresPid: number
  readonly operator: pg.Pool
  /** Whom nothing is hidden from and nothing forbidden: it lays things out. */
  readonly owner: pg.Pool
  stop(): Promise<void>
}

/** PostgreSQL on a fresh folder, with the settings it ships with: every commit is on the disk before it is answered. */
export async function openWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'nemo-admission-'))
  const postgres = await startEmbeddedPostgres({ dataFolder: folder })
  await migrate(postgres.url)
  const operator = connect(postgres.url, 'nemo_operator', { max: 2, statementTimeoutMs: PROOF_TIMEOUT_MS })
  const owner = new pg.Pool({ connectionString: postgres.url, options: '-c search_path=nemo', max: 1 })
  owner.on('error', () => {})
  const end = async () => {
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
  const interrupted = () => void end().finally(() => process.exit(1))
  for (const signal of SIGNALS) process.once(signal, interrupted)
  return {
    url: postgres.url,
    folder,
    postgresPid: postgres.pid,
    operator,
    owner,
    async stop() {
      for (const signal of SIGNALS) process.off(signal, interrupted)
      await Promise.all([operator.end(), owner.end()])
      await end()
    },
  }
}

export interface LimitOf {
  readonly subject: 'organization' | 'key'
  readonly resource: string
  readonly window: string
  readonly bound: bigint
}

/** Money and rates that no experiment comes near. */
export const AMPLE_NANOS = 10n ** 15n
export const AMPLE = 10n ** 9n

/** With the credit balance, five counters. */
export const FIVE_COUNTERS: readonly LimitOf[] = [
  { subject: 'organization', resource: 'cost', window: 'day', bound: AMPLE_NANOS },
  { subject: 'key', resource: 'cost', window: 'day', bound: AMPLE_NANOS },
  { subject: 'key', resource: 'requests', window: 'minute', bound: AMPLE },
  { subject: 'key', resource: 'tokens', window: 'minute', bound: AMPLE * 1000n },
]

/** Organizations with credits, and keys among them with limits, laid out in bulk: by hand each would be checked against all others. */
export async function layOut(
  owner: pg.Pool,
  {
    organizations,
    keys,
    credits,
    limits,
  }: { organizations: number; keys: number; credits: bigint; limits: readonly LimitOf[] },
): Promise<void> {
  const client = await owner.connect()
  const columns = (subject: LimitOf['subject']) => {
    const some = limits.filter((limit) => limit.subject === subject)
    return [some.map((limit) => limit.resource), some.map((limit) => limit.window), some.map((limit) => limit.bound)]
  }
  try {
    await client.query('begin')
    await client.query('set local session_replication_role = replica')
    await client.query(
      `insert into organizations (id, name, slug) select uuidv7(), 'o' || i, 'o' || i from generate_series(0, $1::integer - 1) i`,
      [organizations],
    )
    await client.query(
      `insert into teams (id, organization_id, name) select uuidv7(), id, 'Default' from organizations`,
    )
    await client.query(
      `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
       select uuidv7(), id, 'organization', id, 'cost', 'lifetime', $1 from organizations`,
      [credits],
    )
    await client.query(
      `insert into ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos)
       select uuidv7(), id, 'credits', 'grant', $1::bigint, $1::bigint from organizations`,
      [credits],
    )
    await client.query(
      `insert into virtual_keys (id, organization_id, team_id, alias, hash, hint)
       select uuidv7(), t.organization_id, t.id, 'k' || i, sha256(('k' || i)::bytea), ''
         from generate_series(0, $1::integer - 1) i join organizations o on o.slug = 'o' || (i % $2::integer) join teams t on t.organization_id = o.id`,
      [keys, organizations],
    )
    await client.query(
      `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
       select uuidv7(), o.id, 'organization', o.id, l.* from organizations o, unnest($1::text[], $2::text[], $3::bigint[]) l`,
      columns('organization'),
    )
    await client.query(
      `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
       select uuidv7(), k.organization_id, 'key', k.id, l.* from virtual_keys k, unnest($1::text[], $2::text[], $3::bigint[]) l`,
      columns('key'),
    )
    await client.query('commit')
    // What grows during an experiment is met as a new installation has it: never vacuumed.
    await client.query('vacuum analyze organizations, teams, virtual_keys, limits')
  } finally {
    client.release()
  }
}

/** The hash by which `layOut` made the key of that number known. */
function hashOfKey(number: number): Buffer {
  return createHash('sha256').update(`k${number}`).digest()
}

export interface Process {
  readonly ledger: Ledger
  readonly app: pg.Pool
  /** How often each statement was sent. */
  readonly statements: Map<string, number>
  close(): Promise<void>
}

/** What a gateway process has of the ledger. */
export async function startProcess(world: Pick<World, 'url' | 'folder'>): Promise<Process> {
  const app = connect(world.url, 'nemo_app', { max: CONNECTIONS })
  const statements = countStatements(app)
  const ledger = await Ledger.start({
    app,
    databaseUrl: world.url,
    journalFolder: join(world.folder, 'journal'),
    journalOwner: namedProcess,
    onWarning: (message, error) => console.error(message, error ?? ''),
  })
  return {
    ledger,
    app,
    statements,
    async close() {
      await ledger.close()
      await app.end()
    },
  }
}

function countStatements(pool: pg.Pool): Map<string, number> {
  const counts = new Map<string, number>()
  const add = (what: string, n: number) => counts.set(what, (counts.get(what) ?? 0) + n)
  const query = pool.query.bind(pool) as (...given: unknown[]) => unknown
  const counting = (...given: unknown[]) => {
    const [statement] = given as [string | { name: string; values: unknown[] }]
    const name = typeof statement === 'string' ? statement : statement.name
    add(name, 1)
    if (typeof statement !== 'string' && name === 'allot') {
      add('requests in allot', requestsOf(statement.values))
      add('refills in allot', (statement.values[2] as unknown[]).length - requestsOf(statement.values))
    }
    return query(...given)
  }
  Object.assign(pool, { query: counting })
  return counts
}

/** How many of an allot's questions are of requests that need something; the others are refills in the background. */
function requestsOf(values: readonly unknown[]): number {
  const positions = values[4] as readonly number[]
  const needs = values[6] as readonly bigint[]
  return new Set(positions.filter((_, i) => needs[i]! > 0n)).size
}

/** A key and what a request with it asks for. */
export interface Caller {
  readonly key: VirtualKey
  readonly organizationId: string
  readonly asks: readonly Ask[]
}

/** The first sight of a key: its record and the first allotments in one round trip, as the gateway does it. */
export async function meet({ ledger }: Process, number: number): Promise<Caller> {
  return callerOf((await ledger.findKey(hashOfKey(number)))!)
}

/** All keys as the gateway knows them, and nothing of their limits yet. */
export async function readCallers({ owner }: World): Promise<Caller[]> {
  const { rows } = await owner.query(`
    select k.id, k.organization_id, k.team_id, k.alias, json_agg(json_build_object('id', l.id, 'subject', l.subject,
           'subjectId', l.subject_id, 'resource', l.resource, 'window', l.window_name, 'bound', l.bound::text) order by l.id) as limits
      from virtual_keys k join limits l on l.subject_id in (k.organization_id, k.id) group by k.id`)
  return rows.map((row) =>
    callerOf({
      id: row.id,
      organizationId: row.organization_id,
      teamId: row.team_id,
      alias: row.alias,
      allowedModels: null,
      expiresAt: null,
      revokedAt: null,
      limits: row.limits.map((limit: Limit) => ({ ...limit, bound: BigInt(limit.bound) })),
      hasConsumerLimits: false,
    } as VirtualKey),
  )
}

function callerOf(key: VirtualKey): Caller {
  const asks = key.limits.map((limit) => ({
    limit,
    amount: limit.resource === 'cost' ? CEILING_NANOS : limit.resource === 'tokens' ? TOKENS_LIKELY : 1n,
  }))
  return { key, organizationId: key.organizationId, asks }
}

/** What a call came to, with a log row as the gateway writes it. */
export function settlementOf({ key }: Caller, costNanos = COST_NANOS): Settlement {
  return {
    costNanos,
    tokens: TOKENS,
    log: {
      id: uuidv7(),
      organization_id: key.organizationId,
      started_at: new Date(),
      key_id: key.id,
      key_alias: key.alias,
      team_id: key.teamId,
      endpoint: 'chat',
      streamed: false,
      model_group: 'gpt-4o-mini',
      strategy: 'simple-shuffle',
      provider: 'openai-compatible',
      model: 'gpt-4o-mini-2024-07-18',
      deployment_id: key.id,
      attempts: [{ deployment_id: key.id, credential: 'bench', status: 200, fault: null, detail: null, took_ms: 1 }],
      status: 200,
      error_code: null,
      error_detail: null,
      latency_ms: 1,
      first_token_ms: 1,
      overhead_micros: 300,
      usage: { input: 212, output: 52 },
      input_tokens: 212,
      output_tokens: 52,
      estimated: false,
      price_version_id: key.id,
      consumer: null,
      session_id: null,
      tags: null,
    },
  }
}

/** The hold of a reservation, or an error where there is none. */
export function heldBy(reservation: Reservation) {
  if (reservation.kind === 'held') return reservation.hold
  const why =
    reservation.kind === 'refused'
      ? `by ${reservation.refusal.limit.subject}.${reservation.refusal.limit.resource}.${reservation.refusal.limit.window}`
      : ''
  throw new Error(`a request was ${reservation.kind} ${why}`)
}

/** Whether the ledger is sound, nothing is held any more, and it charged exactly so many requests. */
export async function isExact(
  { operator }: World,
  settled: number,
  costNanos = COST_NANOS,
): Promise<{ exact: boolean; why: string[] }> {
  const { heldByProcesses, ...proof } = await proveLedger(operator)
  const { rows } = await operator.query(`
    select (select count(*) from request_logs) as logs,
           (select coalesce(sum(used), 0) from counters c join limits l on l.id = c.limit_id where l.window_name = 'lifetime')::bigint as charged`)
  const why = [
    ...Object.entries(SOUND).flatMap(([name, nothing]) =>
      JSON.stringify(proof[name as keyof typeof proof]) === JSON.stringify(nothing) ? [] : [name],
    ),
    ...(heldByProcesses === 0 ? [] : [`${heldByProcesses} held`]),
    ...(rows[0].logs === BigInt(settled) ? [] : [`${rows[0].logs} rows of ${settled}`]),
    ...(rows[0].charged === BigInt(settled) * costNanos ? [] : [`${rows[0].charged} charged for ${settled}`]),
  ]
  return { exact: why.length === 0, why }
}
