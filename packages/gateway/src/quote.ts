import { chat } from '@nemo/codec/surfaces/chat/chat'
import { ApiError } from '@nemo/domain/errors'
import { formatUsd } from '@nemo/domain/money'
import { costOf } from '@nemo/domain/pricing'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Exchange } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import { admit } from './pipeline/admit.ts'
import { authenticate, requireEndpoint } from './pipeline/authenticate.ts'
import { CallRecord } from './pipeline/call-record.ts'
import { type ResolvedRequest, resolve } from './pipeline/resolve.ts'
import { allCooling, consider, type Decision } from './pipeline/route.ts'
import { sendJson } from './render.ts'
import type { Facts } from './routing/decide.ts'

/**
 * `POST /v1/quote`: what a chat completion with this body would cost, where it would go, and which limit would refuse it, without calling anyone. Amounts are decimal strings of USD:
 * `upper_bound` is what would be held for the whole of it, at the dearest place that may serve it; `expected` what it probably costs at the first.
 */
export async function quote(gateway: Gateway, exchange: Exchange): Promise<void> {
  exchange.surface = chat
  const identify = () => authenticate(gateway, exchange, Date.now())
  const key = await identify()
  requireEndpoint(key, 'chat/completions')
  const body = await exchange.body(gateway.settings.bodyBytesMax)
  const request = resolve(
    gateway.catalogue,
    key,
    { name: 'chat/completions', endpoint: 'chat', surface: chat },
    body,
    exchange,
  )
  const refusal = await wouldRefuse(gateway, key, request, exchange, identify)
  const decision = consider(gateway, key, request)
  const { expectation } = request
  const first = decision.order[0]?.deployment ?? null
  sendJson(exchange, {
    object: 'quote',
    model: request.group.name,
    currency: 'usd',
    upper_bound: formatUsd(expectation.ceilingOf(expectation.outputMax)),
    expected: first && formatUsd(costOf(likelyUsage(request), first.price!)),
    input_tokens_max: expectation.inputTokens,
    output_tokens_max: expectation.outputMax,
    output_tokens_likely: expectation.tokensLikely - expectation.inputTokens,
    candidates: candidatesOf(request, decision),
    would_refuse: refusal ?? (first ? null : told(allCooling(decision.question))),
  })
}

/** The refusal that the call would meet now, or null: it is admitted and let go at once. */
async function wouldRefuse(
  gateway: Gateway,
  key: VirtualKey,
  request: ResolvedRequest,
  exchange: Exchange,
  identify: () => Promise<VirtualKey>,
): Promise<object | null> {
  try {
    const { hold } = await admit(gateway, new CallRecord(exchange, key, 'chat'), request, identify)
    gateway.ledger.release(hold)
    return null
  } catch (error) {
    if (error instanceof ApiError) return told(error)
    throw error
  }
}

function told({ status, body }: ApiError): object {
  return { status, ...body.error }
}

/** Every deployment of the chain: those that would be tried in their order, and the others with the reason why not. */
function candidatesOf(request: ResolvedRequest, { question, order }: Decision): object[] {
  const facts = new Map<string, Facts>(question.links.flatMap((link) => link.facts.map((one) => [one.id, one])))
  const positions = new Map(
    order.map(({ deployment, lastResort }, i) => [deployment.id, { position: i + 1, lastResort }]),
  )
  const all = request.links.flatMap(({ group, strategy, candidates }) =>
    candidates.map(({ deployment, excluded }) => {
      const { id, model, upstreamModel, price } = deployment
      const { cooling = null } = facts.get(id) ?? {}
      const { position = null, lastResort = false } = positions.get(id) ?? {}
      return {
        group: group.name,
        strategy,
        deployment: id,
        provider: model.provider,
        model: upstreamModel,
        position,
        last_resort: lastResort,
        excluded,
        cooling: cooling && { by: cooling.by, retry_after_ms: cooling.ms },
        expected: price && formatUsd(costOf(likelyUsage(request), price)),
      }
    }),
  )
  return all.sort((a, b) => (a.position ?? Number.POSITIVE_INFINITY) - (b.position ?? Number.POSITIVE_INFINITY))
}

function likelyUsage({ expectation: { inputTokens, tokensLikely } }: ResolvedRequest) {
  return { input: inputTokens, output: tokensLikely - inputTokens, request: 1 }
}
