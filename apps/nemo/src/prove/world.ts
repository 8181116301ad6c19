import { uuidv7 } from '@nemo/domain/ids'
import type { Limit } from '@nemo/domain/limits'
import { seal } from '@nemo/domain/vault'
import { saveProvider } from '@nemo/postgres/catalogue'
import { createOrganization, type Organization, postEntry } from '@nemo/postgres/organizations'
import { createVirtualKey, type NewLimit } from '@nemo/postgres/virtual-keys'
import type pg from 'pg'
import type { Chance } from './chance.ts'

/** The sandbox's. */
export const MODEL = 'sandbox-chat'
/** What a token costs, in nanodollars. */
export const PRICE = { input: 1_000n, output: 4_000n }
/** About what a call comes to. Everything else is sized by it. */
export const CALL_NANOS = 100_000n
const ORGANIZATIONS = 4
const TEAMS = 2
const KEYS = 3

export interface Account {
  readonly organizationId: string
  /** A key may come into another team. */
  teamId: string
  readonly keyId: string
  /** All of them work, and are the one key. */
  readonly secrets: string[]
}

export interface World {
  /** What the racers use: every counter on their way is near its bound. */
  readonly accounts: readonly Account[]
  readonly organizations: readonly Organization[]
  /** Has credits enough, for keys that are made while everything runs. */
  readonly ample: Organization
  /** Budgets, which change while everything runs, and are lifted and set anew. */
  readonly budgets: string[]
}

/** Organizations, teams and keys with limits of every kind, such that the racers run into all of them. */
export async function makeWorld(
  operator: pg.Pool,
  chance: Chance,
  provider: { url: string; masterKey: Buffer },
  racers: number,
): Promise<World> {
  await offerModel(operator, provider)
  const accounts: Account[] = []
  const organizations: Organization[] = []
  // So many calls that the racers of one key would make in about a minute.
  const perKey = Math.max(Math.round(racers / (ORGANIZATIONS * TEAMS * KEYS)), 4)
  for (let o = 0; o < ORGANIZATIONS; o++) {
    const organization = await createOrganization(operator, `Prove ${o}`, `prove-${o}`)
    organizations.push(organization)
    await postEntry(operator, {
      organizationId: organization.id,
      kind: 'purchase',
      amountNanos: CALL_NANOS * BigInt(chance.whole(50, 200)),
      reference: 'first',
    })
    if (o % 2 === 0) await limit(operator, organization.id, 'organization', organization.id, budget(chance, 'day', 300))
    if (o === 3) {
      await limit(operator, organization.id, 'organization', organization.id, rate('requests', perKey * 12))
      await limit(operator, organization.id, 'organization', organization.id, parallel(perKey + 8))
    }
    for (let t = 0; t < TEAMS; t++) {
      const teamId = uuidv7()
      await operator.query('insert into teams (id, organization_id, name) values ($1, $2, $3)', [
        teamId,
        organization.id,
        `Team ${t}`,
      ])
      if (t === 0) await limit(operator, organization.id, 'team', teamId, budget(chance, 'total', 150))
      if (o === 2 && t === 1) await limit(operator, organization.id, 'team', teamId, rate('requests', perKey * 6))
      for (let k = 0; k < KEYS; k++) {
        const { id, key } = await createVirtualKey(operator, {
          organizationId: organization.id,
          teamId,
          alias: `key-${t}-${k}`,
          limits: limitsOfKey(chance, k, perKey),
        })
        accounts.push({ organizationId: organization.id, teamId, keyId: id, secrets: [key] })
      }
    }
  }
  const ample = await createOrganization(operator, 'Ample', 'ample')
  await postEntry(operator, {
    organizationId: ample.id,
    kind: 'purchase',
    amountNanos: CALL_NANOS * 10_000_000n,
    reference: 'first',
  })
  const budgets = await operator.query(
    `select id from limits where resource = 'cost' and window_name <> 'lifetime' order by id`,
  )
  return { accounts, organizations, ample, budgets: budgets.rows.map((row) => row.id) }
}

function limitsOfKey(chance: Chance, k: number, perKey: number): NewLimit[] {
  switch (k) {
    case 0:
      return [budget(chance, 'month', 60), parallel(Math.max(Math.round(perKey / 8), 2))]
    case 1:
      return [rate('requests', perKey * 3), rate('tokens', perKey * 150), budget(chance, 'week', 100)]
    default:
      return []
  }
}

function budget(chance: Chance, window: 'day' | 'week' | 'month' | 'total', calls: number): NewLimit {
  return { resource: 'cost', window, bound: CALL_NANOS * BigInt(chance.whole(calls / 2, calls)) }
}

function rate(resource: 'requests' | 'tokens', bound: number): NewLimit {
  return { resource, window: 'minute', bound: BigInt(bound) }
}

function parallel(bound: number): NewLimit {
  return { resource: 'parallel', window: 'now', bound: BigInt(bound) }
}

async function limit(
  operator: pg.Pool,
  organizationId: string,
  subject: Limit['subject'],
  subjectId: string,
  { resource, window, bound }: NewLimit,
): Promise<void> {
  await operator.query(
    `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [uuidv7(), organizationId, subject, subjectId, resource, window, bound],
  )
}

async function offerModel(operator: pg.Pool, { url, masterKey }: { url: string; masterKey: Buffer }): Promise<void> {
  const perMillion = (nanos: bigint) => nanos * 1_000_000n
  await saveProvider(
    operator,
    { name: 'sandbox', provider: 'sandbox', baseUrl: url, secret: seal(masterKey, 'sandbox', 'sandbox') },
    [
      {
        id: `sandbox/${MODEL}`,
        provider: 'sandbox',
        endpoint: 'chat',
        contextTokens: 128_000,
        outputTokensMax: 64,
        capabilities: [],
        group: MODEL,
        upstreamModel: MODEL,
        nanosPerMillion: { input: perMillion(PRICE.input), output: perMillion(PRICE.output) },
        priceSource: 'prove',
      },
    ],
  )
}
