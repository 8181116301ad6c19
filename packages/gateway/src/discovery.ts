import { PROVIDERS } from '@nemo/codec/providers'
import { invalidRequest, modelNotFound } from '@nemo/domain/errors'
import { formatUsd } from '@nemo/domain/money'
import type { Price, Rates, ServiceTiers } from '@nemo/domain/pricing'
import { STRATEGIES } from '@nemo/domain/routing-settings'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Catalogue, Deployment, ModelGroup } from './snapshot/catalogue.ts'

/** `GET /v1/models`: what this key may call, in OpenAI's form (https://platform.openai.com/docs/api-reference/models). */
export function listModels(catalogue: Catalogue, key: VirtualKey): object {
  const groups = catalogue.visibleTo(key.organizationId).filter((group) => isAllowed(group, key))
  return { object: 'list', data: groups.map(modelObject) }
}

/** `GET /v1/models/{id}`. Throws the same 404 for what doesn't exist and for what this key may not see. */
export function showModel(catalogue: Catalogue, key: VirtualKey, id: string): object {
  const group = catalogue.find(id, key.organizationId)
  if (!group || !isAllowed(group, key)) throw modelNotFound(id)
  return modelObject(group)
}

const PAGE_MAX = 1_000

/**
 * `GET /api/public/models`: everyone's models with prices, for anyone, by name. `provider`, `capability` (repeatable), `endpoint` and `q`, a part of the name, choose among them; `limit` and
 * `after`, the last name of the page before, page through them. Prices are decimal strings of USD per million units. Throws a 400 that names the parameter.
 */
export function publicModels(catalogue: Catalogue, query: URLSearchParams): object {
  const limit = Number(query.get('limit') ?? PAGE_MAX)
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_MAX) {
    throw invalidRequest('limit', `limit must be an integer from 1 to ${PAGE_MAX}.`)
  }
  const [after, part] = [query.get('after'), query.get('q')]
  const groups = catalogue.groups
    .filter((group) => group.organizationId === null && group.deployments.some((one) => serves(one, query)))
    .filter(({ name }) => (part === null || name.includes(part)) && (after === null || name > after))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const page = groups.slice(0, limit)
  const has_more = groups.length > page.length
  return { object: 'list', data: page.map(publicModel), has_more, last_id: page.at(-1)?.name ?? null }
}

function serves({ model }: Deployment, query: URLSearchParams): boolean {
  const [provider, endpoint] = [query.get('provider'), query.get('endpoint')]
  return (
    (provider === null || model.provider === provider) &&
    (endpoint === null || model.endpoint === endpoint) &&
    query.getAll('capability').every((tag) => model.capabilities.includes(tag))
  )
}

/** `GET /public/capabilities`: what this installation can do, so that a client needn't find out by failing. */
export function capabilities(catalogue: Catalogue, version: string): object {
  const groups = catalogue.groups.filter((group) => group.organizationId === null)
  const endpoints = new Set(groups.flatMap((group) => group.deployments.map((deployment) => deployment.model.endpoint)))
  return {
    object: 'capabilities',
    version,
    endpoints: {
      '/v1/chat/completions': endpoints.has('chat'),
      '/v1/messages': endpoints.has('chat'),
      '/v1/responses': endpoints.has('chat'),
      '/v1/embeddings': endpoints.has('embeddings'),
      '/v1/images/generations': endpoints.has('images'),
      '/v1/models': true,
      '/v1/quote': endpoints.has('chat'),
    },
    streaming: endpoints.has('chat'),
    strategies: STRATEGIES,
    extras: [
      ...['nemo_tags', 'nemo_fallbacks', 'nemo_strategy', 'nemo_max_retries', 'nemo_timeout_ms', 'nemo_max_cost'],
      'nemo_cache',
    ],
    limits: ['credits', 'budget', 'requests', 'tokens', 'parallel'],
    provider_types: PROVIDERS.map((provider) => provider.name),
  }
}

function isAllowed(group: ModelGroup, key: VirtualKey): boolean {
  return key.allowedModels === null || key.allowedModels.includes(group.name)
}

function modelObject(group: ModelGroup): object {
  const owners = new Set(group.deployments.map((deployment) => deployment.model.provider))
  return {
    id: group.name,
    object: 'model',
    created: Math.floor(group.createdAt.getTime() / 1000),
    owned_by: [...owners].join(','),
  }
}

function publicModel(group: ModelGroup): object {
  return {
    ...modelObject(group),
    deployments: group.deployments.map(({ model, price }) => ({
      model: model.id,
      provider: model.provider,
      endpoint: model.endpoint,
      context_tokens: model.contextTokens,
      output_tokens_max: model.outputTokensMax,
      capabilities: model.capabilities,
      deprecates_on: model.deprecatesOn ?? null,
      // As advertised: what it allows our credentials is nobody's business.
      requests_per_minute: model.requestsPerMinute ?? null,
      tokens_per_minute: model.tokensPerMinute ?? null,
      price_version: price?.versionId ?? null,
      ...(price === null ? { usd_per_million: null } : publicPrice(price)),
    })),
  }
}

function publicPrice({ nanosPerMillion, tiers = [], serviceTiers = {}, pictures = [] }: Price): object {
  return {
    usd_per_million: usdOf(nanosPerMillion),
    ...(tiers.length > 0 && {
      tiers: tiers.map((tier) => ({
        input_above: tier.above,
        usd_per_million: usdOf(tier.nanosPerMillion),
        service_tiers: publicTiers(tier.serviceTiers ?? {}),
      })),
    }),
    ...(Object.keys(serviceTiers).length > 0 && { service_tiers: publicTiers(serviceTiers) }),
    ...(pictures.length > 0 && {
      pictures: pictures.map(({ quality = null, size = null, nanosPerMillion, perMegapixel = false }) => ({
        ...{ quality, size, usd_per_million: formatUsd(nanosPerMillion), per_megapixel: perMegapixel },
      })),
    }),
  }
}

function publicTiers(tiers: ServiceTiers): object {
  return Object.fromEntries(Object.entries(tiers).map(([tier, rates]) => [tier, usdOf(rates)]))
}

function usdOf(rates: Rates): object {
  return Object.fromEntries(Object.entries(rates).map(([unit, nanos]) => [unit, formatUsd(nanos)]))
}
