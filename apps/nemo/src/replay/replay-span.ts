import { loadCatalogue } from '@nemo/postgres/catalogue'
import { priceHistory } from '@nemo/postgres/price-history'
import { attemptedCalls, deploymentNames, type LogSpan, routedCalls } from '@nemo/postgres/replay-logs'
import type pg from 'pg'
import { Failure } from '../failure.ts'
import { Comparison } from './comparison.ts'
import type { GivenPrices } from './given-prices.ts'
import { Measures } from './measures.ts'
import type { Policy } from './policy.ts'
import { type Names, worldOf } from './world.ts'

/** How far a replay has come: first it measures the deployments, then it decides again. */
export interface Progress {
  readonly step: 'measuring' | 'replaying'
  readonly calls: number
  /** Of the span, by time; from 0 to 1. */
  readonly part: number
}

export interface Replayed {
  readonly comparison: Comparison
  readonly measures: Measures
  readonly names: Names
}

/**
 * Decides all calls of the span again under the policy. Reads the log twice, a page at a time: once for how fast deployments were and how often they failed, of all calls whosever they were; and
 * once for the calls themselves. Throws when a group of the chain isn't in the catalogue.
 */
export async function replaySpan(
  operator: Pick<pg.Pool, 'query'>,
  span: LogSpan,
  policy: Policy,
  given: GivenPrices,
  onProgress: (progress: Progress) => void,
): Promise<Replayed> {
  const { deployments } = await loadCatalogue(operator)
  for (const name of policy.chain ?? []) {
    if (!deployments.some(({ group }) => group === name)) throw new Failure(`There is no model group "${name}".`)
  }
  const reporter = { span, onProgress }
  const measures = new Measures(span.since, span.until)
  const everyone = { ...span, organizationId: null, group: null }
  await go(attemptedCalls(operator, everyone), 'measuring', reporter, (call) => measures.add(call))

  const names = await deploymentNames(operator)
  const history = await priceHistory(operator, [...measures.priceVersions.values()])
  const { world, named } = worldOf({ measures, names, history, given, deployments })
  const comparison = new Comparison(policy, world)
  await go(routedCalls(operator, span), 'replaying', reporter, (call) => comparison.add(call))
  return { comparison, measures, names: named }
}

async function go<Call extends { readonly startedAt: Date }>(
  pages: AsyncIterable<Call[]>,
  step: Progress['step'],
  { span: { since, until }, onProgress }: { span: LogSpan; onProgress: (progress: Progress) => void },
  each: (call: Call) => void,
): Promise<void> {
  let calls = 0
  for await (const page of pages) {
    for (const call of page) each(call)
    calls += page.length
    const doneMs = page.at(-1)!.startedAt.getTime() - since.getTime()
    onProgress({ step, calls, part: doneMs / Math.max(until.getTime() - since.getTime(), 1) })
  }
  onProgress({ step, calls, part: 1 })
}
