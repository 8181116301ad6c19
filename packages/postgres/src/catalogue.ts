import type { Endpoint, Model, OfferedModel } from '@nemo/domain/catalogue'
import { uuidv7 } from '@nemo/domain/ids'
import type { PictureRate } from '@nemo/domain/picture'
import type { Price, Rates, ServiceTiers } from '@nemo/domain/pricing'
import type pg from 'pg'
import { sharedGroup } from './model-groups.ts'
import { inTransaction, type Transaction } from './tenancy.ts'

/** All that routing needs, as it stands in the database. Secrets are still sealed. */
export interface StoredCatalogue {
  readonly credentials: readonly StoredCredential[]
  readonly deployments: readonly StoredDeployment[]
}

export interface StoredCredential {
  readonly id: string
  readonly name: string
  readonly provider: string
  readonly baseUrl: string | null
  /** What the provider needs beside the secret: a region, an account. */
  readonly settings: Readonly<Record<string, string>>
  readonly secret: Buffer | null
  readonly createdAt: Date
}

export interface StoredDeployment {
  readonly id: string
  readonly organizationId: string | null
  readonly groupId: string
  readonly group: string
  readonly groupCreatedAt: Date
  /** Further groups, by name, for when none of this one answers. */
  readonly chain: readonly string[]
  readonly credentialId: string
  readonly upstreamModel: string
  readonly weight: number
  /** What the provider allows there in 60 seconds; null where it isn't known. */
  readonly requestsPerMinute: number | null
  readonly tokensPerMinute: number | null
  readonly model: Model
  /** Null when the model has no price, and so can't be called. */
  readonly price: Price | null
}

/** Loads every enabled deployment with its model and the price in force. As the operator. */
export async function loadCatalogue(operator: Pick<pg.Pool, 'query'>): Promise<StoredCatalogue> {
  const credentials = await operator.query(
    'select id, name, provider, base_url, settings, secret, created_at from provider_credentials order by name',
  )
  const deployments = await operator.query(`
    select d.id, d.organization_id, d.group_id, g.name as "group", g.created_at as group_created_at, g.chain, d.credential_id, d.upstream_model,
           d.weight, d.requests_per_minute, d.tokens_per_minute, m.id as model_id, m.provider, m.endpoint, m.context_tokens, m.output_tokens_max, m.capabilities,
           m.deprecated_at::text as deprecates_on, m.requests_per_minute as model_requests_per_minute, m.tokens_per_minute as model_tokens_per_minute,
           p.id as price_id, p.nanos_per_million, p.tiers, p.service_tiers, p.pictures
      from deployments d
      join model_groups g on g.id = d.group_id
      join models m on m.id = d.model_id
      left join lateral (
        select p.id, p.nanos_per_million, p.tiers, p.service_tiers, p.pictures from prices p
         where p.model_id = m.id and p.effective_at <= clock_timestamp() order by p.effective_at desc, p.id desc limit 1) p on true
     where d.enabled
     order by g.name, d.created_at, d.id`)
  return {
    credentials: credentials.rows.map((row) => ({
      id: row.id,
      name: row.name,
      provider: row.provider,
      baseUrl: row.base_url,
      settings: row.settings,
      secret: row.secret,
      createdAt: row.created_at,
    })),
    deployments: deployments.rows.map((row) => ({
      id: row.id,
      organizationId: row.organization_id,
      groupId: row.group_id,
      group: row.group,
      groupCreatedAt: row.group_created_at,
      chain: row.chain,
      credentialId: row.credential_id,
      upstreamModel: row.upstream_model,
      weight: row.weight,
      requestsPerMinute: numberOrNull(row.requests_per_minute),
      tokensPerMinute: numberOrNull(row.tokens_per_minute),
      model: {
        id: row.model_id,
        provider: row.provider,
        endpoint: row.endpoint as Endpoint,
        contextTokens: row.context_tokens,
        outputTokensMax: row.output_tokens_max,
        capabilities: row.capabilities,
        deprecatesOn: row.deprecates_on,
        requestsPerMinute: numberOrNull(row.model_requests_per_minute),
        tokensPerMinute: numberOrNull(row.model_tokens_per_minute),
      },
      price: row.price_id && readPrice(row),
    })),
  }
}

/** Postgres gives a bigint as text. */
function numberOrNull(value: string | null): number | null {
  return value === null ? null : Number(value)
}

export interface StoredPrice {
  readonly price_id: string
  readonly nanos_per_million: StoredRates
  readonly tiers: readonly {
    readonly above: number
    readonly nanosPerMillion: StoredRates
    readonly serviceTiers?: StoredTiers
  }[]
  readonly service_tiers: StoredTiers
  readonly pictures: readonly (Omit<PictureRate, 'nanosPerMillion'> & { readonly nanosPerMillion: string })[]
}

/** Nanodollars as text: JSON's numbers are too small for them. */
type StoredRates = Readonly<Record<string, string>>
type StoredTiers = Readonly<Record<string, StoredRates>>

/** A version of the price book from its columns. */
export function readPrice({ price_id, nanos_per_million, tiers, service_tiers, pictures }: StoredPrice): Price {
  return {
    versionId: price_id,
    nanosPerMillion: readRates(nanos_per_million),
    ...(tiers.length > 0 && {
      tiers: tiers.map(({ above, nanosPerMillion, serviceTiers }) => ({
        above,
        nanosPerMillion: readRates(nanosPerMillion),
        ...(serviceTiers && { serviceTiers: readTiers(serviceTiers) }),
      })),
    }),
    ...(Object.keys(service_tiers).length > 0 && { serviceTiers: readTiers(service_tiers) }),
    ...(pictures.length > 0 && {
      pictures: pictures.map((row) => ({ ...row, nanosPerMillion: BigInt(row.nanosPerMillion) })),
    }),
  }
}

function readTiers(stored: StoredTiers): ServiceTiers {
  return Object.fromEntries(Object.entries(stored).map(([tier, rates]) => [tier, readRates(rates)]))
}

export function readRates(stored: StoredRates): Rates {
  return Object.fromEntries(Object.entries(stored).map(([usageClass, nanos]) => [usageClass, BigInt(nanos)]))
}

type Writable = Pick<OfferedModel, 'nanosPerMillion' | 'tiers' | 'serviceTiers' | 'pictures'>

/** A price as the JSON of its columns. */
export function writePrice({ nanosPerMillion, tiers = [], serviceTiers = {}, pictures = [] }: Writable): {
  rates: string
  tiers: string
  serviceTiers: string
  pictures: string
} {
  const list = tiers.map(({ above, nanosPerMillion: rates, serviceTiers: own }) => ({
    above,
    nanosPerMillion: writeRates(rates),
    ...(own && { serviceTiers: writeTiers(own) }),
  }))
  return {
    rates: JSON.stringify(writeRates(nanosPerMillion)),
    tiers: JSON.stringify(list),
    serviceTiers: JSON.stringify(writeTiers(serviceTiers)),
    pictures: JSON.stringify(pictures.map((row) => ({ ...row, nanosPerMillion: String(row.nanosPerMillion) }))),
  }
}

function writeTiers(tiers: ServiceTiers): StoredTiers {
  return Object.fromEntries(Object.entries(tiers).map(([tier, rates]) => [tier, writeRates(rates)]))
}

function writeRates(rates: Rates): StoredRates {
  return Object.fromEntries(Object.entries(rates).map(([usageClass, nanos]) => [usageClass, String(nanos)]))
}

/**
 * Adds a credential, or replaces the one of that name, and deploys the models offered on it: catalogue entry, price, group and
 * deployment, all or nothing. A price is added only where it differs from the one in force.
 */
export async function saveProvider(
  operator: pg.Pool,
  credential: {
    name: string
    provider: string
    baseUrl: string | null
    settings?: Readonly<Record<string, string>>
    secret: Buffer | null
  },
  models: readonly OfferedModel[],
): Promise<{ id: string; created: boolean }> {
  return inTransaction(operator, async (tx) => {
    const saved = await tx.query(
      `insert into provider_credentials (id, name, provider, base_url, settings, secret) values ($1, $2, $3, $4, $5, $6)
       on conflict (name) do update set provider = excluded.provider, base_url = excluded.base_url,
         settings = excluded.settings, secret = excluded.secret
       returning id, xmax = 0 as created`,
      [
        uuidv7(),
        credential.name,
        credential.provider,
        credential.baseUrl,
        credential.settings ?? {},
        credential.secret,
      ],
    )
    const { id, created } = saved.rows[0]
    for (const model of models) await deploy(tx, id, model)
    return { id, created }
  })
}

/** Adds a model to a credential: catalogue entry, price, group and deployment. As the operator, in a transaction. */
export async function deploy(tx: Transaction, credentialId: string, model: OfferedModel): Promise<void> {
  await saveModel(tx, model)
  await tx.query(
    `insert into deployments (id, group_id, model_id, credential_id, upstream_model) values ($1, $2, $3, $4, $5)
     on conflict (group_id, credential_id, upstream_model) do update set model_id = excluded.model_id`,
    [uuidv7(), await sharedGroup(tx, model.group), model.id, credentialId, model.upstreamModel],
  )
}

/** Adds a model to the catalogue, or what a list says of one that is in it, with its price. What the operator said of it beside that stays. As the operator. */
export async function saveModel(tx: Transaction, model: OfferedModel): Promise<void> {
  await tx.query(
    `insert into models as m (id, provider, endpoint, context_tokens, output_tokens_max, capabilities, deprecated_at, requests_per_minute, tokens_per_minute)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (id) do update set endpoint = excluded.endpoint,
       context_tokens = case when m.facts_by_operator then m.context_tokens else excluded.context_tokens end,
       output_tokens_max = case when m.facts_by_operator then m.output_tokens_max else excluded.output_tokens_max end,
       capabilities = case when m.facts_by_operator then m.capabilities else excluded.capabilities end,
       deprecated_at = coalesce(excluded.deprecated_at, m.deprecated_at),
       requests_per_minute = coalesce(excluded.requests_per_minute, m.requests_per_minute),
       tokens_per_minute = coalesce(excluded.tokens_per_minute, m.tokens_per_minute)`,
    [
      ...[model.id, model.provider, model.endpoint, model.contextTokens, model.outputTokensMax, model.capabilities],
      ...[model.deprecatesOn ?? null, model.requestsPerMinute ?? null, model.tokensPerMinute ?? null],
    ],
  )
  await savePrice(tx, model.id, model, model.priceSource)
}

/** The source of prices that the operator gave. */
export const OPERATOR = 'operator'

/** Puts what a list says of a model, and its price, in the place of what the operator said. As the operator. */
export async function resetModel(tx: Transaction, model: OfferedModel): Promise<void> {
  await tx.query(
    `update models set facts_by_operator = false, deprecated_at = null, requests_per_minute = null, tokens_per_minute = null where id = $1`,
    [model.id],
  )
  await saveModel(tx, model)
  await savePrice(tx, model.id, model, model.priceSource, { overOperator: true })
}

/** Adds a version to the price book, where it differs from the latest one; says whether it did. What the operator priced stays, unless it is he who says so. As the operator. */
export async function savePrice(
  tx: Pick<Transaction, 'query'>,
  modelId: string,
  price: Writable,
  source: string,
  { overOperator = source === OPERATOR }: { overOperator?: boolean } = {},
): Promise<boolean> {
  const { rates, tiers, serviceTiers, pictures } = writePrice(price)
  const { rowCount } = await tx.query(
    `insert into prices (id, model_id, nanos_per_million, tiers, service_tiers, pictures, source)
     select $1, $2, $3::jsonb, $4::jsonb, $5::jsonb, $6::jsonb, $7
       from (select) one left join (
         select nanos_per_million, tiers, service_tiers, pictures, source from prices where model_id = $2 order by effective_at desc, id desc limit 1) last on true
      where case when $9 or last.source is distinct from $8
        then (last.nanos_per_million, last.tiers, last.service_tiers, last.pictures, last.source = $8) is distinct from ($3::jsonb, $4::jsonb, $5::jsonb, $6::jsonb, $7 = $8)
        else false end`,
    [uuidv7(), modelId, rates, tiers, serviceTiers, pictures, source, OPERATOR, overOperator],
  )
  return rowCount === 1
}

/**
 * Removes a credential with its deployments, and the groups that are left without any. Models and prices stay: the log names them.
 * False when there is no such credential. As the operator.
 */
export async function removeProvider(operator: pg.Pool, name: string): Promise<boolean> {
  return inTransaction(operator, async (tx) => {
    const groups = await tx.query(
      `select distinct d.group_id from deployments d join provider_credentials c on c.id = d.credential_id where c.name = $1`,
      [name],
    )
    const { rowCount } = await tx.query('delete from provider_credentials where name = $1', [name])
    await tx.query(
      `delete from model_groups g
        where g.id = any ($1) and not exists (select 1 from deployments d where d.group_id = g.id)`,
      [groups.rows.map((row) => row.group_id)],
    )
    return rowCount === 1
  })
}

/** Sets the chain of everyone's group of that name; false when there is no such group. As the operator. */
export async function setChain(
  operator: Pick<pg.Pool, 'query'>,
  group: string,
  chain: readonly string[],
): Promise<boolean> {
  const { rowCount } = await operator.query(
    'update model_groups set chain = $2 where name = $1 and organization_id is null',
    [group, chain],
  )
  return rowCount === 1
}

export interface GroupRow {
  readonly name: string
  /** Whose it is; null for everyone's. */
  readonly organization: string | null
  readonly chain: readonly string[]
  /** As `provider/model`. */
  readonly deployments: readonly string[]
}

/** All groups with what is deployed in them, by name. As the operator. */
export async function listGroups(operator: Pick<pg.Pool, 'query'>): Promise<GroupRow[]> {
  const { rows } = await operator.query(
    `select g.name, o.slug as organization, g.chain,
            coalesce(array_agg(m.provider || '/' || d.upstream_model order by d.created_at, d.id) filter (where d.id is not null), '{}') as deployments
       from model_groups g left join organizations o on o.id = g.organization_id
       left join deployments d on d.group_id = g.id left join models m on m.id = d.model_id
      group by g.id, o.slug order by g.name, o.slug`,
  )
  return rows
}
