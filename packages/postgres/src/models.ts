import type { Endpoint, Model } from '@nemo/domain/catalogue'
import type { Price } from '@nemo/domain/pricing'
import { readPrice } from './catalogue.ts'
import type { Transaction } from './tenancy.ts'

/** An entry of the catalogue as the operator sees it. */
export interface ModelRow extends Model {
  /** Whether what is said of it, beside its price, is the operator's word: no refresh changes that. */
  readonly factsByOperator: boolean
  readonly deployments: number
  /** The one in force; null when it has none, and so can't be called. */
  readonly price: (Price & Pick<PriceRow, 'source' | 'effectiveAt'>) | null
  readonly createdAt: Date
}

export interface PriceRow {
  readonly id: string
  readonly price: Price
  /** A page, or `operator`. */
  readonly source: string
  readonly effectiveAt: Date
}

const MODEL = `
  select m.*, m.deprecated_at::text as deprecates_on, (select count(*)::int from deployments d where d.model_id = m.id) as deployments,
         p.id as price_id, p.nanos_per_million, p.tiers, p.service_tiers, p.pictures, p.source, p.effective_at
    from models m
    left join lateral (
      select * from prices p where p.model_id = m.id and p.effective_at <= clock_timestamp() order by p.effective_at desc, p.id desc limit 1) p on true`

/** By id. A text finds those whose id has it. As the operator. */
export async function pageOfModels(
  operator: Transaction,
  filter: { text?: string | undefined; provider?: string | undefined; endpoint?: Endpoint | undefined },
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<ModelRow[]> {
  const { rows } = await operator.query(
    `${MODEL}
      where ($1::text is null or m.id > $1) and ($2::text is null or strpos(lower(m.id), lower($2)) > 0)
        and ($3::text is null or m.provider = $3) and ($4::text is null or m.endpoint = $4)
      order by m.id limit $5`,
    [after ?? null, filter.text ?? null, filter.provider ?? null, filter.endpoint ?? null, limit],
  )
  return rows.map(readModel)
}

/** Null when there is none of that id. As the operator. */
export async function findModel(operator: Transaction, id: string): Promise<ModelRow | null> {
  const { rows } = await operator.query(`${MODEL} where m.id = $1`, [id])
  return rows[0] ? readModel(rows[0]) : null
}

/** The same, which stays as it is, and gets no price, until the transaction ends. As the operator. */
export async function lockModel(tx: Transaction, id: string): Promise<ModelRow | null> {
  await tx.query('select 1 from models where id = $1 for update', [id])
  return findModel(tx, id)
}

// biome-ignore lint/suspicious/noExplicitAny: a row of that query
function readModel(row: any): ModelRow {
  return {
    id: row.id,
    provider: row.provider,
    endpoint: row.endpoint,
    contextTokens: row.context_tokens,
    outputTokensMax: row.output_tokens_max,
    capabilities: row.capabilities,
    deprecatesOn: row.deprecates_on,
    requestsPerMinute: numberOrNull(row.requests_per_minute),
    tokensPerMinute: numberOrNull(row.tokens_per_minute),
    factsByOperator: row.facts_by_operator,
    deployments: row.deployments,
    price: row.price_id && { ...readPrice(row), source: row.source, effectiveAt: row.effective_at },
    createdAt: row.created_at,
  }
}

/** Such columns come as bigints. */
function numberOrNull(value: bigint | null): number | null {
  return value === null ? null : Number(value)
}

/** Adds an entry that is the operator's; false when there is one of that id. As the operator. */
export async function createModel(tx: Transaction, model: Model): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into models (id, provider, endpoint, context_tokens, output_tokens_max, capabilities, deprecated_at, requests_per_minute, tokens_per_minute, facts_by_operator)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, true) on conflict (id) do nothing`,
    [model.id, model.provider, model.endpoint, ...factsOf(model)],
  )
  return rowCount === 1
}

/** What is said of a model beside its price. */
export type Facts = Omit<Model, 'id' | 'provider' | 'endpoint'>

/** Puts the operator's word in the place of what was said of a model. No refresh changes it from then on. As the operator. */
export async function setFacts(tx: Transaction, id: string, facts: Facts): Promise<void> {
  await tx.query(
    `update models set context_tokens = $2, output_tokens_max = $3, capabilities = $4, deprecated_at = $5, requests_per_minute = $6, tokens_per_minute = $7,
       facts_by_operator = true where id = $1`,
    [id, ...factsOf(facts)],
  )
}

function factsOf(facts: Facts): unknown[] {
  const { contextTokens, outputTokensMax, capabilities, deprecatesOn, requestsPerMinute, tokensPerMinute } = facts
  return [
    ...[contextTokens, outputTokensMax, capabilities],
    ...[deprecatesOn ?? null, requestsPerMinute ?? null, tokensPerMinute ?? null],
  ]
}

/** The versions of a model's price, the latest first. As the operator. */
export async function pageOfPrices(
  operator: Transaction,
  modelId: string,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<PriceRow[]> {
  const { rows } = await operator.query(
    `select p.id as price_id, p.nanos_per_million, p.tiers, p.service_tiers, p.pictures, p.source, p.effective_at
       from prices p
      where p.model_id = $1 and ($2::uuid is null or (p.effective_at, p.id) < (select effective_at, id from prices where id = $2))
      order by p.effective_at desc, p.id desc limit $3`,
    [modelId, after ?? null, limit],
  )
  return rows.map((row) => ({
    id: row.price_id,
    price: readPrice(row),
    source: row.source,
    effectiveAt: row.effective_at,
  }))
}
