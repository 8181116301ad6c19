import type { OfferedModel } from '@nemo/domain/catalogue'
import { uuidv7 } from '@nemo/domain/ids'
import type { ModelFacts } from '@nemo/domain/price-book/known-facts'
import { movesByHalf } from '@nemo/domain/price-book/moves'
import type { Price, Rates } from '@nemo/domain/pricing'
import type pg from 'pg'
import { deploy, OPERATOR, readPrice, readRates, savePrice, writePrice } from './catalogue.ts'
import { inTransaction, type Transaction } from './tenancy.ts'

/** What came of a refresh, by model ids. */
export interface RefreshReport {
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly quarantined: readonly string[]
  readonly unchanged: number
}

/** One refresh at a time, of all processes. */
const LOCK = 7_203_311_892n

/**
 * Takes what a source says of models into the price book: a new version where a price changed, and models that are new at a provider whose models were taken from a source before. A price
 * that moved by more than half waits for the operator; one that the operator set stays. All or nothing. As the operator.
 */
export async function refreshPrices(operator: pg.Pool, offered: readonly OfferedModel[]): Promise<RefreshReport> {
  return inTransaction(operator, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK])
    const inForce = await pricesInForce(tx)
    const credentials = await listedCredentials(tx)
    const agreed: string[] = []
    const report = { added: [] as string[], changed: [] as string[], quarantined: [] as string[], unchanged: 0 }
    for (const model of offered) {
      const known = inForce.get(model.id)
      if (known === undefined) {
        const credential = credentials.get(model.provider)
        if (credential === undefined) continue
        await deploy(tx, credential, model)
        report.added.push(model.id)
      } else if (known.source === OPERATOR) report.unchanged++
      else if (known.price !== null && movesByHalf(known.price, model)) {
        if (await quarantine(tx, model)) report.quarantined.push(model.id)
        else report.unchanged++
        continue
      } else if (await savePrice(tx, model.id, model, model.priceSource)) report.changed.push(model.id)
      else report.unchanged++
      agreed.push(model.id)
    }
    // What the source has taken back waits no more.
    await tx.query('delete from quarantined_prices where model_id = any ($1)', [agreed])
    await saveFacts(tx, new Map(offered.map(({ id, deprecatesOn }) => [id, deprecatesOn ? { deprecatesOn } : {}])))
    return report
  })
}

/** Takes what a source says of models, by their ids, into the catalogue: of those that are in it. Says of how many it was news. As the operator. */
export async function refreshFacts(operator: pg.Pool, facts: ReadonlyMap<string, ModelFacts>): Promise<number> {
  return inTransaction(operator, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK])
    return saveFacts(tx, facts)
  })
}

/** What isn't known anew stays as it is, and so does all that the operator said, or that was said of a model whose price is his. Tags are only added. */
async function saveFacts(tx: Transaction, facts: ReadonlyMap<string, ModelFacts>): Promise<number> {
  const rows = [...facts].map(([id, known]) => ({ id, ...known }))
  const { rowCount } = await tx.query(
    `with known as (
       select m.id, coalesce(f."deprecatesOn", m.deprecated_at) as deprecated_at,
              coalesce(f."requestsPerMinute", m.requests_per_minute) as requests_per_minute,
              coalesce(f."tokensPerMinute", m.tokens_per_minute) as tokens_per_minute,
              coalesce(m.output_tokens_max, f."outputTokensMax") as output_tokens_max,
              m.capabilities || array(select t from unnest(f.capabilities) t where t <> all (m.capabilities)) as capabilities
         from json_to_recordset($1) as f(id text, "deprecatesOn" date, "requestsPerMinute" bigint, "tokensPerMinute" bigint,
                                         "outputTokensMax" integer, capabilities text[])
         join models m on m.id = f.id
        where not m.facts_by_operator
          and (select p.source from prices p where p.model_id = m.id order by p.effective_at desc, p.id desc limit 1) is distinct from $2)
     update models m
        set deprecated_at = k.deprecated_at, requests_per_minute = k.requests_per_minute, tokens_per_minute = k.tokens_per_minute,
            output_tokens_max = k.output_tokens_max, capabilities = k.capabilities
       from known k
      where k.id = m.id and (m.deprecated_at, m.requests_per_minute, m.tokens_per_minute, m.output_tokens_max, m.capabilities)
            is distinct from (k.deprecated_at, k.requests_per_minute, k.tokens_per_minute, k.output_tokens_max, k.capabilities)`,
    [JSON.stringify(rows), OPERATOR],
  )
  return rowCount ?? 0
}

async function pricesInForce(tx: Transaction): Promise<Map<string, { price: Price | null; source: string | null }>> {
  const { rows } = await tx.query(`
    select m.id, p.id as price_id, p.nanos_per_million, p.tiers, p.service_tiers, p.pictures, p.source
      from models m
      left join lateral (
        select * from prices p where p.model_id = m.id order by p.effective_at desc, p.id desc limit 1) p on true`)
  return new Map(rows.map((row) => [row.id, { price: row.price_id && readPrice(row), source: row.source }]))
}

/** Credentials by their provider, of which models were deployed from a source and not each by hand. */
async function listedCredentials(tx: Transaction): Promise<Map<string, string>> {
  const { rows } = await tx.query(
    `select distinct on (c.provider) c.provider, c.id
       from provider_credentials c
       join deployments d on d.credential_id = c.id
       join prices p on p.model_id = d.model_id
      where p.source <> $1 and p.source <> 'sandbox' and p.source <> 'test'
      order by c.provider, c.created_at`,
    [OPERATOR],
  )
  return new Map(rows.map(({ provider, id }) => [provider, id]))
}

/** False when the operator has rejected the very same. */
async function quarantine(tx: Transaction, model: OfferedModel): Promise<boolean> {
  const { rates, tiers, serviceTiers, pictures } = writePrice(model)
  const { rows } = await tx.query(
    `insert into quarantined_prices as q (id, model_id, nanos_per_million, tiers, service_tiers, pictures, source)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (model_id) do update set nanos_per_million = excluded.nanos_per_million, tiers = excluded.tiers,
       service_tiers = excluded.service_tiers, pictures = excluded.pictures, source = excluded.source, seen_at = now(),
       rejected_at = case when (q.nanos_per_million, q.tiers, q.service_tiers, q.pictures)
         = (excluded.nanos_per_million, excluded.tiers, excluded.service_tiers, excluded.pictures) then q.rejected_at end
     returning rejected_at is null as waits`,
    [uuidv7(), model.id, rates, tiers, serviceTiers, pictures, model.priceSource],
  )
  return rows[0].waits
}

export interface QuarantinedPrice {
  readonly modelId: string
  readonly before: Rates
  readonly after: Rates
  readonly source: string
  readonly seenAt: Date
}

/** What waits for the operator, the latest first. */
export async function quarantinedPrices(operator: Pick<pg.Pool, 'query'>): Promise<QuarantinedPrice[]> {
  const { rows } = await operator.query(`
    select q.model_id, q.nanos_per_million as after, q.source, q.seen_at, p.nanos_per_million as before
      from quarantined_prices q
      left join lateral (
        select p.nanos_per_million from prices p where p.model_id = q.model_id order by p.effective_at desc, p.id desc limit 1) p on true
     where q.rejected_at is null
     order by q.seen_at desc, q.model_id`)
  return rows.map((row) => ({
    modelId: row.model_id,
    before: readRates(row.before ?? {}),
    after: readRates(row.after),
    source: row.source,
    seenAt: row.seen_at,
  }))
}

/** Puts a waiting price into force, or rejects it until the source says another. False when none waits for that model. As the operator, in a transaction. */
export async function decideQuarantined(tx: Transaction, modelId: string, accept: boolean): Promise<boolean> {
  const { rowCount } = await tx.query(
    accept
      ? `with accepted as (delete from quarantined_prices where model_id = $1 and rejected_at is null returning *)
         insert into prices (id, model_id, nanos_per_million, tiers, service_tiers, pictures, source)
         select $2, model_id, nanos_per_million, tiers, service_tiers, pictures, source from accepted`
      : 'update quarantined_prices set rejected_at = clock_timestamp() where model_id = $1 and rejected_at is null',
    accept ? [modelId, uuidv7()] : [modelId],
  )
  return rowCount === 1
}

/** Deploys models on a credential that is there, with what the provider allows it in 60 seconds. False when there is none of that name. As the operator. */
export async function addModels(
  operator: pg.Pool,
  credential: string,
  models: readonly OfferedModel[],
  limits: { readonly requestsPerMinute?: number | null; readonly tokensPerMinute?: number | null } = {},
): Promise<boolean> {
  const { requestsPerMinute = null, tokensPerMinute = null } = limits
  return inTransaction(operator, async (tx) => {
    const { rows } = await tx.query('select id from provider_credentials where name = $1', [credential])
    if (rows.length === 0) return false
    for (const model of models) {
      await deploy(tx, rows[0].id, model)
      await tx.query(
        `update deployments set requests_per_minute = coalesce($3, requests_per_minute), tokens_per_minute = coalesce($4, tokens_per_minute)
          where credential_id = $1 and upstream_model = $2 and organization_id is null`,
        [rows[0].id, model.upstreamModel, requestsPerMinute, tokensPerMinute],
      )
    }
    return true
  })
}
