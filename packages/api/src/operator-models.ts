import type { Price } from '@nemo/domain/pricing'
import { USAGE_CLASSES } from '@nemo/domain/usage'
import { z } from 'zod'
import { route } from './route.ts'
import { count, id, listOf, listQuery, time, usd, usdInput, word } from './schema.ts'

const endpoint = z.enum(['chat', 'embeddings', 'images'])
const usageClass = z.enum(USAGE_CLASSES)

const rates = z
  .partialRecord(usageClass, usd)
  .meta({ description: 'USD per million units, by class: tokens, pictures, seconds, requests' })

const priceShape = {
  usd_per_million: rates,
  tiers: z.array(
    z.object({
      input_above: z.number().int(),
      usd_per_million: rates,
      service_tiers: z.record(z.string(), rates),
    }),
  ),
  service_tiers: z.record(z.string(), rates),
  pictures: z.array(
    z.object({
      quality: z.string().nullable(),
      size: z.string().nullable(),
      usd_per_million: usd,
      per_megapixel: z.boolean(),
      is_default: z.boolean(),
    }),
  ),
}
const price = z.object(priceShape)

const MILLION = 1_000_000n
/** A billion USD for each of a million: more is a slip of the hand. */
const NANOS_MAX = 1_000_000_000n * 1_000_000_000n * MILLION
const amount = usdInput.refine((nanos) => nanos >= 0n && nanos <= NANOS_MAX, 'must be from 0 to 1000000000000000')
const ratesInput = z.partialRecord(usageClass, amount)
const tierName = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/)

/** As it is shown, read to a price of ours. */
const priceInput = z
  .strictObject({
    usd_per_million: ratesInput,
    tiers: z
      .array(
        z.strictObject({
          input_above: count(1_000_000_000),
          usd_per_million: ratesInput,
          service_tiers: z.record(tierName, ratesInput).default({}),
        }),
      )
      .max(10)
      .default([]),
    service_tiers: z.record(tierName, ratesInput).default({}),
    pictures: z
      .array(
        z.strictObject({
          quality: word.nullable().default(null),
          size: word.nullable().default(null),
          usd_per_million: amount,
          per_megapixel: z.boolean().default(false),
          is_default: z.boolean().default(false),
        }),
      )
      .max(200)
      .default([]),
  })
  .transform(
    ({ usd_per_million, tiers, service_tiers, pictures }): Omit<Price, 'versionId'> => ({
      nanosPerMillion: usd_per_million,
      tiers: tiers
        .map(({ input_above, usd_per_million: nanosPerMillion, service_tiers: serviceTiers }) => ({
          ...{ above: input_above, nanosPerMillion },
          ...(Object.keys(serviceTiers).length > 0 && { serviceTiers }),
        }))
        .sort((a, b) => a.above - b.above),
      serviceTiers: service_tiers,
      pictures: pictures.map(({ quality, size, usd_per_million: nanosPerMillion, per_megapixel, is_default }) => ({
        ...(quality !== null && { quality }),
        ...(size !== null && { size }),
        nanosPerMillion,
        ...(per_megapixel && { perMegapixel: true }),
        ...(is_default && { isDefault: true }),
      })),
    }),
  )

const facts = {
  context_tokens: z.number().int().nullable(),
  output_tokens_max: z.number().int().nullable(),
  capabilities: z.array(z.string()),
  deprecates_on: z.string().nullable().meta({ description: 'From which day on the provider serves it no more' }),
  requests_per_minute: z.number().nullable().meta({ description: 'As the provider advertises' }),
  tokens_per_minute: z.number().nullable(),
}

const model = z.object({
  id: z.string(),
  object: z.literal('catalogue_model'),
  provider: z.string(),
  endpoint,
  ...facts,
  facts_by: z
    .enum(['operator', 'sources'])
    .meta({ description: 'Whose word all that is; the operator’s stays, whatever is refreshed' }),
  deployments: z.number().int(),
  price: price
    .extend({ version_id: id, source: z.string(), effective_at: time })
    .nullable()
    .meta({ description: 'In force; without one it can’t be called' }),
  created_at: time,
})

const knownModel = z.object({
  id: z.string(),
  object: z.literal('known_model'),
  provider: z.string(),
  endpoint,
  ...facts,
  group: z.string(),
  upstream_model: z.string(),
  price: price.extend({ source: z.string() }),
})

const factsInput = {
  context_tokens: count(2_000_000_000).nullable().optional(),
  output_tokens_max: count(2_000_000_000).nullable().optional(),
  capabilities: z
    .array(word)
    .max(100)
    .transform((tags) => [...new Set(tags)])
    .optional(),
  deprecates_on: z.iso.date().nullable().optional(),
  requests_per_minute: count(1_000_000_000_000).nullable().optional(),
  tokens_per_minute: count(1_000_000_000_000).nullable().optional(),
}

const modelId = z
  .string()
  .max(200)
  .regex(/^[a-z0-9][a-z0-9._-]*\/[^\s\p{Cc}\p{Cs}]+$/u, 'must be like provider/name')
const modelParams = z.object({
  id: z.string().max(200).meta({ description: 'Such as openai/gpt-5, with the slash written as %2F' }),
})
const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  after: z.string().max(200).optional().meta({ description: 'The last id of the page before' }),
})
const modelQuery = pageQuery.extend({
  q: word.optional().meta({ description: 'A part of the id' }),
  provider: word.optional(),
  endpoint: endpoint.optional(),
})

const quarantined = z.object({
  id: z.string(),
  object: z.literal('quarantined_price'),
  model_id: z.string(),
  before: rates,
  after: rates,
  source: z.string(),
  seen_at: time,
})

const access = 'operator'

export const operatorModelRoutes = {
  operatorListKnownModels: route({
    method: 'GET',
    path: '/api/operator/known-models',
    access,
    summary: 'Models that this release knows prices of, by id: what can be deployed without saying more',
    query: modelQuery,
    response: listOf(knownModel),
  }),
  operatorListModels: route({
    method: 'GET',
    path: '/api/operator/models',
    access,
    summary: 'The catalogue of this installation, by id',
    query: modelQuery,
    response: listOf(model),
  }),
  operatorGetModel: route({
    method: 'GET',
    path: '/api/operator/models/:id',
    access,
    summary: 'One entry of the catalogue, with the price in force',
    params: modelParams,
    response: model,
  }),
  operatorCreateModel: route({
    method: 'POST',
    path: '/api/operator/models',
    access,
    summary: 'Add a model that no list has, with its price',
    body: z.strictObject({ id: modelId, endpoint: endpoint.default('chat'), ...factsInput, price: priceInput }),
    example: {
      id: 'acme/small-2',
      context_tokens: 128_000,
      price: { usd_per_million: { input: '0.10', output: '0.40' } },
    },
    response: model,
    status: 201,
    errors: ['409 model_exists'],
  }),
  operatorUpdateModel: route({
    method: 'PATCH',
    path: '/api/operator/models/:id',
    access,
    summary: 'Say better what a model is, in the place of all sources',
    description: 'What is left out stays. From then on no refresh changes any of it; prices are apart.',
    params: modelParams,
    body: z.strictObject(factsInput),
    example: { context_tokens: 400_000, capabilities: ['vision', 'function-calling'] },
    response: model,
  }),
  operatorResetModel: route({
    method: 'POST',
    path: '/api/operator/models/:id/reset',
    access,
    summary: 'Take back what the operator said of a model and its price',
    description:
      'What this release knows of it holds from now on, as a version of its own, and refreshes change it again.',
    params: modelParams,
    response: model,
    errors: ['409 model_not_known'],
  }),
  operatorListPrices: route({
    method: 'GET',
    path: '/api/operator/models/:id/prices',
    access,
    summary: 'The versions of a model’s price, the latest first',
    params: modelParams,
    query: listQuery,
    response: listOf(price.extend({ id, object: z.literal('price'), source: z.string(), effective_at: time })),
  }),
  operatorSetPrice: route({
    method: 'POST',
    path: '/api/operator/models/:id/prices',
    access,
    summary: 'Set a model’s price from now on, in the place of all sources',
    description:
      'Calls under way keep the version that they were held for. No refresh changes it. What costs nothing says so: `{"usd_per_million": {"request": "0"}}`.',
    params: modelParams,
    body: priceInput,
    example: { usd_per_million: { input: '1.25', cachedInput: '0.125', output: '10' } },
    response: model,
    status: 201,
  }),
  operatorListQuarantinedPrices: route({
    method: 'GET',
    path: '/api/operator/quarantined-prices',
    access,
    summary: 'Prices that moved by more than half and wait for a decision',
    response: listOf(quarantined),
  }),
  operatorAcceptPrice: route({
    method: 'POST',
    path: '/api/operator/quarantined-prices/:id/accept',
    access,
    summary: 'Put a waiting price into force; the id is the model’s',
    params: modelParams,
    response: model,
  }),
  operatorRejectPrice: route({
    method: 'POST',
    path: '/api/operator/quarantined-prices/:id/reject',
    access,
    summary: 'Forget a waiting price; the id is the model’s',
    params: modelParams,
    response: model,
  }),
}
