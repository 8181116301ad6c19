import { passTokenCount } from '@nemo/codec/passages/messages'
import { countTokens as surface, writeTokenCount } from '@nemo/codec/surfaces/messages/count-tokens'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Exchange } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import { HANG_UP } from './pipeline/attempt.ts'
import { authenticate, requireEndpoint } from './pipeline/authenticate.ts'
import { type Api, type ResolvedRequest, resolve } from './pipeline/resolve.ts'
import { Attempt } from './pipeline/upstream.ts'
import { sendBytes, sendJson } from './render.ts'
import type { Deployment } from './snapshot/catalogue.ts'

const API: Api = { name: 'messages', endpoint: 'chat', surface }
/** Longer than this, an estimate is worth more. */
const PATIENCE_MS = 5_000

/**
 * `POST /v1/messages/count_tokens` (https://platform.claude.com/docs/en/api/messages-count-tokens): how many tokens a prompt has. Anthropic says so of its own models, and takes nothing for it;
 * for any other, and where it doesn't answer, it is the upper estimate that a call is held by, and `x-nemo-estimated` says so.
 */
export async function countTokens(gateway: Gateway, exchange: Exchange): Promise<void> {
  exchange.surface = surface
  const key = await authenticate(gateway, exchange, Date.now())
  requireEndpoint(key, API.name)
  const body = await exchange.body(gateway.settings.bodyBytesMax)
  const request = resolve(gateway.catalogue, key, API, body, exchange)
  const counted = await countedByItsMaker(gateway, key, request, exchange)
  if (counted) sendBytes(exchange, counted)
  else sendJson(exchange, writeTokenCount(request.expectation.inputTokens), 200, ['x-nemo-estimated', 'true'])
}

async function countedByItsMaker(
  gateway: Gateway,
  { organizationId }: VirtualKey,
  request: ResolvedRequest,
  exchange: Exchange,
): Promise<Buffer | null> {
  const now = performance.now()
  const deployment = request.deployments.find(
    ({ id, upstream: { provider } }) =>
      provider.dialect === 'anthropic' &&
      provider.hosting === 'native' &&
      gateway.health.coolingOf(organizationId, id, now) === null,
  )
  return deployment ? gateway.tokenCounts.run(organizationId, () => ask(gateway, deployment, request, exchange)) : null
}

/** Its answer as it came; null where there is none. */
async function ask(
  { upstreams }: Gateway,
  { upstream, upstreamModel }: Deployment,
  request: ResolvedRequest,
  exchange: Exchange,
): Promise<Buffer | null> {
  const wire = passTokenCount(request, upstreamModel)
  const path = upstream.basePath + wire.path
  const headers = await upstream.headersFor(path, wire)
  const times = { firstByteTimeoutMs: PATIENCE_MS, idleTimeoutMs: PATIENCE_MS }
  const attempt = Attempt.send(upstreams.of(upstream), { path, headers, wire, streamed: false, ...times })
  exchange.onHangUp(() => attempt.abort(HANG_UP))
  const result = await attempt.result
  exchange.onHangUp(null)
  return result.kind === 'answer' ? result.answer.bytes : null
}
