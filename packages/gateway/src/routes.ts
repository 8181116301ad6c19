import { chat } from '@nemo/codec/surfaces/chat/chat'
import { messages } from '@nemo/codec/surfaces/messages/messages'
import { responses } from '@nemo/codec/surfaces/responses/responses'
import { ApiError } from '@nemo/domain/errors'
import { countTokens } from './count-tokens.ts'
import { capabilities, listModels, publicModels, showModel } from './discovery.ts'
import type { Exchange } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import { answer } from './pipeline/answer.ts'
import { authenticate } from './pipeline/authenticate.ts'
import type { Api } from './pipeline/resolve.ts'
import { quote } from './quote.ts'
import { sendCacheable, sendJson } from './render.ts'

export interface Route {
  readonly method: 'GET' | 'POST'
  /** A path that ends with `/` takes one more segment or several: an id may have slashes in it. */
  readonly path: string
  /** `admitted` routes reserve before they call; `key` routes read what belongs to the key; `operator` ones are for whoever runs it; `public` ones for anyone. */
  readonly access: 'admitted' | 'key' | 'operator' | 'public'
  readonly handle: (gateway: Gateway, exchange: Exchange, id: string) => Promise<void> | void
}

export const VERSION = '0.1.0'

/** Every route of the data plane. A test walks them: what isn't public refuses without a key, what spends is admitted. */
export const ROUTES: readonly Route[] = [
  spends({ name: 'chat/completions', endpoint: 'chat', surface: chat }),
  spends({ name: 'messages', endpoint: 'chat', surface: messages }),
  { method: 'POST', path: '/v1/messages/count_tokens', access: 'key', handle: countTokens },
  { method: 'POST', path: '/v1/quote', access: 'key', handle: quote },
  spends({ name: 'responses', endpoint: 'chat', surface: responses }),
  spends({ name: 'embeddings', endpoint: 'embeddings', surface: chat }),
  spends({ name: 'images/generations', endpoint: 'images', surface: chat }),
  get('/v1/models', 'key', async (gateway, exchange) =>
    sendJson(exchange, listModels(gateway.catalogue, await keyOf(gateway, exchange))),
  ),
  get('/v1/models/', 'key', async (gateway, exchange, id) =>
    sendJson(exchange, showModel(gateway.catalogue, await keyOf(gateway, exchange), id)),
  ),
  get('/api/public/models', 'public', (gateway, exchange) =>
    sendCacheable(exchange, publicModels(gateway.catalogue, queryOf(exchange))),
  ),
  get('/public/capabilities', 'public', (gateway, exchange) =>
    sendJson(exchange, capabilities(gateway.catalogue, VERSION), 200, CACHEABLE),
  ),
  get('/metrics', 'operator', async (gateway, exchange) => {
    if (!gateway.mayReadMetrics(exchange.request)) throw notFound('GET', '/metrics')
    const text = await gateway.metrics.text()
    exchange.response.writeHead(200, { 'content-type': gateway.metrics.contentType }).end(text)
  }),
  get('/healthz', 'public', (_, exchange) => sendJson(exchange, { status: 'ok' })),
  get('/readyz', 'public', async (gateway, exchange) => {
    const ready = await gateway.isReady()
    sendJson(exchange, { status: ready ? 'ready' : 'the database does not answer' }, ready ? 200 : 503)
  }),
]

const CACHEABLE = ['cache-control', 'public, max-age=60', 'access-control-allow-origin', '*']

function queryOf({ request }: Exchange): URLSearchParams {
  return new URL(request.url ?? '/', 'http://localhost').searchParams
}

/** Its path is its name, by which keys are allowed it. */
function spends(api: Api): Route {
  return {
    method: 'POST',
    path: `/v1/${api.name}`,
    access: 'admitted',
    handle: (gateway, exchange) => answer(gateway, api, exchange),
  }
}

function get(path: string, access: Exclude<Route['access'], 'admitted'>, handle: Route['handle']): Route {
  return { method: 'GET', path, access, handle }
}

function keyOf(gateway: Gateway, exchange: Exchange) {
  return authenticate(gateway, exchange, Date.now())
}

export function notFound(method: string | undefined, path: string): ApiError {
  return new ApiError(404, 'not_found', `There is nothing at ${method} ${path.slice(0, 200)}.`)
}
