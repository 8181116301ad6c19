import type { operatorModelRoutes } from '@nemo/api/operator-models'
import { pageOf } from '@nemo/api/page'
import type { Endpoint, Model, OfferedModel } from '@nemo/domain/catalogue'
import { invalidRequest } from '@nemo/domain/errors'
import { formatUsd } from '@nemo/domain/money'
import { snapshotModels } from '@nemo/domain/price-book/snapshot'
import { isWholePrice } from '@nemo/domain/price-book/whole-price'
import type { Price, Rates, ServiceTiers } from '@nemo/domain/pricing'
import { OPERATOR, resetModel, savePrice } from '@nemo/postgres/catalogue'
import {
  createModel,
  type Facts,
  findModel,
  lockModel,
  type ModelRow,
  pageOfModels,
  pageOfPrices,
  setFacts,
} from '@nemo/postgres/models'
import { decideQuarantined, quarantinedPrices } from '@nemo/postgres/price-book'
import { inTransaction } from '@nemo/postgres/tenancy'
import { wholeList } from '../billing/routes.ts'
import type { Call, Handlers } from '../http/call.ts'
import { conflict, found, notFound } from '../http/errors.ts'

type Routes = typeof operatorModelRoutes

export const operatorModelHandlers: Handlers<Routes> = {
  operatorListKnownModels: async ({ query: { limit, after, q, provider, endpoint } }) => {
    const known = snapshotModels()
      .filter(
        (model) =>
          (after === undefined || model.id > after) &&
          (q === undefined || model.id.toLowerCase().includes(q.toLowerCase())) &&
          (provider === undefined || model.provider === provider) &&
          (endpoint === undefined || model.endpoint === endpoint),
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1))
    return pageOf(known.slice(0, limit + 1).map(shownKnown), limit)
  },

  operatorListModels: async ({ control, query: { limit, after, q, provider, endpoint } }) => {
    const models = await pageOfModels(control.operator, { text: q, provider, endpoint }, { limit: limit + 1, after })
    return pageOf(models.map(shownModel), limit)
  },

  operatorGetModel: async ({ control, params }) =>
    shownModel(found('model', await findModel(control.operator, params.id))),

  operatorCreateModel: ({ control, body: { id, endpoint, price, ...given }, audit }) =>
    inTransaction(control.operator, async (tx) => {
      insistOnWhole(endpoint, price, 'price.usd_per_million')
      const model = { id, provider: id.split('/')[0]!, endpoint, ...factsAfter(UNKNOWN, given) }
      if (!(await createModel(tx, model)))
        throw conflict('model_exists', `There is a model ${id} in the catalogue.`, 'id')
      await savePrice(tx, id, price, OPERATOR)
      const made = found('model', await findModel(tx, id))
      await audit(tx, {
        action: 'model.created',
        subject: { type: 'model', id },
        after: { endpoint, ...shownFacts(made), price: written(shownPrice(price)) },
      })
      return shownModel(made)
    }),

  operatorUpdateModel: ({ control, params, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const before = found('model', await lockModel(tx, params.id))
      await setFacts(tx, before.id, factsAfter(before, body))
      const after = found('model', await findModel(tx, before.id))
      await audit(tx, {
        action: 'model.updated',
        subject: { type: 'model', id: before.id },
        before: shownFacts(before),
        after: shownFacts(after),
      })
      return shownModel(after)
    }),

  operatorResetModel: ({ control, params, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const before = found('model', await lockModel(tx, params.id))
      const known = snapshotModels().find(({ id }) => id === before.id)
      if (!known) throw conflict('model_not_known', 'This release knows nothing of it but what you said.')
      await resetModel(tx, known)
      const after = found('model', await findModel(tx, before.id))
      await audit(tx, {
        action: 'model.reset',
        subject: { type: 'model', id: before.id },
        before: { ...shownFacts(before), price: before.price && written(shownPrice(before.price)) },
        after: { ...shownFacts(after), price: after.price && written(shownPrice(after.price)) },
      })
      return shownModel(after)
    }),

  operatorListPrices: async ({ control, params, query: { limit, after } }) => {
    found('model', await findModel(control.operator, params.id))
    const versions = await pageOfPrices(control.operator, params.id, { limit: limit + 1, after })
    return pageOf(
      versions.map(({ id, price, source, effectiveAt }) => ({
        ...{ id, object: 'price' as const, source, effective_at: effectiveAt },
        ...shownPrice(price),
      })),
      limit,
    )
  },

  operatorSetPrice: ({ control, params, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const before = found('model', await lockModel(tx, params.id))
      insistOnWhole(before.endpoint, body, 'usd_per_million')
      if (await savePrice(tx, before.id, body, OPERATOR)) {
        await audit(tx, {
          action: 'price.set',
          subject: { type: 'model', id: before.id },
          before: before.price && written({ ...shownPrice(before.price), source: before.price.source }),
          after: written(shownPrice(body)),
        })
      }
      return shownModel(found('model', await findModel(tx, before.id)))
    }),

  operatorListQuarantinedPrices: async ({ control }) =>
    wholeList(
      (await quarantinedPrices(control.operator)).map(({ modelId, before, after, source, seenAt }) => ({
        ...{ id: modelId, object: 'quarantined_price' as const, model_id: modelId, source, seen_at: seenAt },
        ...{ before: { ...before }, after: { ...after } },
      })),
    ),

  operatorAcceptPrice: (call) => decide(call, true),
  operatorRejectPrice: (call) => decide(call, false),
}

const NEEDED: { readonly [E in Endpoint]: string } = {
  chat: 'input and output, or request',
  embeddings: 'input, or request',
  images: 'image, request, or input and output, or a table of pictures',
}

/** Throws a 400 for a price that leaves something of a call unpriced, which would be given away. */
function insistOnWhole(endpoint: Endpoint, price: Omit<Price, 'versionId'>, param: string): void {
  if (!isWholePrice(endpoint, price))
    throw invalidRequest(param, `The price is incomplete: one for ${endpoint} has ${NEEDED[endpoint]}.`)
}

type FactsGiven = Call<Routes['operatorUpdateModel']>['body']

const UNKNOWN: Facts = { contextTokens: null, outputTokensMax: null, capabilities: [] }

/** What is left out stays. */
function factsAfter(before: Facts, given: FactsGiven): Facts {
  const either = <T>(now: T | undefined, then: T) => (now === undefined ? then : now)
  return {
    contextTokens: either(given.context_tokens, before.contextTokens),
    outputTokensMax: either(given.output_tokens_max, before.outputTokensMax),
    capabilities: either<readonly string[]>(given.capabilities, before.capabilities),
    deprecatesOn: either(given.deprecates_on, before.deprecatesOn ?? null),
    requestsPerMinute: either(given.requests_per_minute, before.requestsPerMinute ?? null),
    tokensPerMinute: either(given.tokens_per_minute, before.tokensPerMinute ?? null),
  }
}

type Deciding = Call<Routes['operatorAcceptPrice']> | Call<Routes['operatorRejectPrice']>

function decide({ control, params, audit }: Deciding, accept: boolean) {
  return inTransaction(control.operator, async (tx) => {
    const before = found('price', await lockModel(tx, params.id))
    const waiting = (await quarantinedPrices(tx)).find(({ modelId }) => modelId === before.id)
    if (!waiting || !(await decideQuarantined(tx, before.id, accept))) throw notFound('price')
    await audit(tx, {
      action: accept ? 'price.accepted' : 'price.rejected',
      subject: { type: 'model', id: before.id },
      before: written(waiting.before),
      after: written(accept ? waiting.after : waiting.before),
    })
    return shownModel(found('price', await findModel(tx, before.id)))
  })
}

function shownFacts(facts: Facts) {
  return {
    context_tokens: facts.contextTokens,
    output_tokens_max: facts.outputTokensMax,
    capabilities: [...facts.capabilities],
    deprecates_on: facts.deprecatesOn ?? null,
    requests_per_minute: facts.requestsPerMinute ?? null,
    tokens_per_minute: facts.tokensPerMinute ?? null,
  }
}

function shownPrice({ nanosPerMillion, tiers = [], serviceTiers = {}, pictures = [] }: Omit<Price, 'versionId'>) {
  return {
    usd_per_million: { ...nanosPerMillion },
    tiers: tiers.map((tier) => ({
      input_above: tier.above,
      usd_per_million: { ...tier.nanosPerMillion },
      service_tiers: ratesByTier(tier.serviceTiers),
    })),
    service_tiers: ratesByTier(serviceTiers),
    pictures: pictures.map(({ quality = null, size = null, nanosPerMillion: nanos, perMegapixel, isDefault }) => ({
      ...{ quality, size, usd_per_million: nanos },
      ...{ per_megapixel: perMegapixel ?? false, is_default: isDefault ?? false },
    })),
  }
}

/** With its amounts as they are read. */
function written(price: object): object {
  return JSON.parse(JSON.stringify(price, (_, value) => (typeof value === 'bigint' ? formatUsd(value) : value)))
}

function ratesByTier(tiers: ServiceTiers = {}): Record<string, Rates> {
  return { ...tiers }
}

function shownKnown(model: OfferedModel) {
  return {
    ...identityOf(model),
    object: 'known_model' as const,
    ...shownFacts(model),
    group: model.group,
    upstream_model: model.upstreamModel,
    price: { ...shownPrice(model), source: model.priceSource },
  }
}

function shownModel(row: ModelRow) {
  const { price } = row
  return {
    ...identityOf(row),
    object: 'catalogue_model' as const,
    ...shownFacts(row),
    facts_by: row.factsByOperator ? ('operator' as const) : ('sources' as const),
    deployments: row.deployments,
    price: price && {
      ...shownPrice(price),
      ...{ version_id: price.versionId, source: price.source, effective_at: price.effectiveAt },
    },
    created_at: row.createdAt,
  }
}

function identityOf({ id, provider, endpoint }: Model) {
  return { id, provider, endpoint }
}
