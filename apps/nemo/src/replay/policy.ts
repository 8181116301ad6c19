import type { Nanos } from '@nemo/domain/money'
import { costOf, type Price } from '@nemo/domain/pricing'
import type { Strategy } from '@nemo/domain/routing-settings'
import type { Facts, Link, Question } from '@nemo/gateway/routing/decide'
import type { LoggedDecision } from '@nemo/gateway/routing/decision-log'

/** How calls are to be routed in place of how they were. Null leaves it as it was. */
export interface Policy {
  readonly strategy: Strategy | null
  /** The groups after the one that was asked for; none at all, where it is empty. */
  readonly chain: readonly string[] | null
}

/** A deployment of a chain's group, as the catalogue has it. */
interface ChainPlace {
  readonly id: string
  readonly weight: number
}

/** What deciding again has to know of the world. */
export interface Prices {
  /** What a call to the deployment cost then, or would at the other prices; null where no price is known. */
  priceOf(deploymentId: string, at: Date): Price | null
  /** Whether other prices than the price book's hold for the deployment. */
  isRepriced(deploymentId: string): boolean
}

export interface Groups {
  /** The places in the group of that name that could serve the call; null where the organization has no such group. */
  placesOf(name: string, call: Routed): readonly ChainPlace[] | null
}

interface Routed {
  readonly organizationId: string
  readonly endpoint: string
  readonly inputTokens: number | null
  readonly startedAt: Date
}

/**
 * The question of a call as it would have been under the policy. What was known of deployments is as it was logged; a group that wasn't in the log is as if nothing were known of it.
 * Null when the order would depend on a price that isn't known any more.
 */
export function questionUnder(
  policy: Policy,
  call: Routed,
  decision: LoggedDecision,
  world: Prices & Groups,
): Question | null {
  const { question, expected } = decision
  const links: Link[] = []
  for (const { link, isLogged } of linksUnder(policy, call, decision, world)) {
    const strategy = policy.strategy ?? link.strategy
    const isPriced = isLogged && link.strategy === 'cost-based'
    const facts: Facts[] = []
    for (const one of link.facts) {
      if (strategy !== 'cost-based' || (isPriced && !world.isRepriced(one.id))) facts.push(one)
      else {
        const price = world.priceOf(one.id, call.startedAt)
        if (!price) return null
        facts.push({ ...one, costNanos: Number(expectedCost(expected, price)) })
      }
    }
    links.push({ strategy, facts })
  }
  return { ...question, links }
}

/** What a call was expected to cost at a price: as the gateway reckons it. */
export function expectedCost([input, output]: LoggedDecision['expected'], price: Price): Nanos {
  return costOf({ input, output, request: 1 }, price)
}

function* linksUnder(
  { chain }: Policy,
  call: Routed,
  { question, links }: LoggedDecision,
  world: Groups,
): Generator<{ link: Link; isLogged: boolean }> {
  const logged = new Map(question.links.map((link, i) => [links[i]!.group, link]))
  if (chain === null) {
    for (const link of question.links) yield { link, isLogged: true }
    return
  }
  const first = question.links[0]
  if (!first) return
  yield { link: first, isLogged: true }
  const seen = new Set([links[0]!.group])
  for (const name of chain) {
    if (seen.has(name)) continue
    seen.add(name)
    const known = logged.get(name)
    if (known) yield { link: known, isLogged: true }
    else {
      const places = world.placesOf(name, call)
      if (places) yield { link: { strategy: first.strategy, facts: places.map(neutral) }, isLogged: false }
    }
  }
}

/** Facts of which nothing follows but the weight. */
function neutral({ id, weight }: ChainPlace): Facts {
  return {
    id,
    weight,
    ...{ inFlight: 0, requests: 0, requestsMax: null, tokens: 0, tokensMax: null },
    ...{ latencyMs: null, costNanos: 0, cooling: null },
  }
}
