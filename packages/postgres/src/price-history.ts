import type { Price } from '@nemo/domain/pricing'
import type pg from 'pg'
import { readPrice } from './catalogue.ts'

/** A price with the time from which on it held. */
export interface PriceVersion {
  readonly modelId: string
  readonly effectiveAt: Date
  readonly price: Price
}

/**
 * All versions of the prices of deployed models, and of the models that the given versions were of, those that held first before others of their model. As the operator.
 */
export async function priceHistory(
  operator: Pick<pg.Pool, 'query'>,
  versionIds: readonly string[] = [],
): Promise<PriceVersion[]> {
  const { rows } = await operator.query(
    `select p.id as price_id, p.model_id, p.effective_at, p.nanos_per_million, p.tiers, p.service_tiers, p.pictures
       from prices p
      where p.model_id in (select model_id from deployments union select model_id from prices where id = any ($1))
      order by p.model_id, p.effective_at, p.id`,
    [versionIds],
  )
  return rows.map((row) => ({ modelId: row.model_id, effectiveAt: row.effective_at, price: readPrice(row) }))
}
