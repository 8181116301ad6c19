import { requestIdOf } from '@nemo/domain/ids'
import { formatUsd } from '@nemo/domain/money'
import type { Comparison, Latencies, Pair } from './comparison.ts'
import type { Measures, Pace } from './measures.ts'
import type { Names } from './world.ts'

/** A comparison as a program reads it: money as decimal strings of USD, times in milliseconds. */
export function comparisonReport(comparison: Comparison, measures: Measures, names: Names) {
  const { costNanos, movedNanos, latencies } = comparison
  return {
    calls: comparison.calls,
    left_out: {
      refused_before_routing: comparison.refused,
      unreadable: comparison.unreadable,
      unpriced: comparison.unpriced,
    },
    astray: { calls: comparison.astray, request_ids: comparison.astrayIds.map(requestIdOf) },
    elsewhere: { first_choice: comparison.movedFirst, answered: comparison.movedAnswer },
    cost_usd: {
      ...usd(costNanos),
      of_calls_answered_elsewhere: usd(movedNanos),
      /** Failed calls that another deployment would have answered, priced at what they were expected to take. */
      calls_priced_as_expected: comparison.rescued,
    },
    latency_ms: {
      to_first_token: meansOf(latencies['first-token']),
      of_answers: meansOf(latencies['output-token']),
      of_answers_without_tokens: meansOf(latencies.answer),
      unmeasured_calls: comparison.unmeasured,
    },
    failures: {
      calls: comparison.called,
      failed: comparison.failed,
      expected: { actual: rounded(comparison.failures.actual), other: rounded(comparison.failures.other) },
      window_ms: Math.round(measures.bucketMs * 3),
    },
    deployments: [...comparison.shares]
      .map(([id, { first, answered, costNanos: cost }]) => ({
        deployment_id: id,
        ...nameOf(names, id),
        first_choice: first,
        answered,
        cost_usd: usd(cost),
        measured: {
          attempts: measures.attempts(id),
          ms_to_first_token: paceOf(measures, id, 'first-token'),
          ms_per_output_token: paceOf(measures, id, 'output-token'),
          ms_per_answer: paceOf(measures, id, 'answer'),
        },
      }))
      .toSorted((a, b) => b.answered.actual - a.answered.actual || b.answered.other - a.answered.other),
  }
}

export type ComparisonReport = ReturnType<typeof comparisonReport>

function usd({ actual, other }: Pair<bigint>): Pair<string> {
  return { actual: formatUsd(actual), other: formatUsd(other) }
}

/** Means over the calls that could be estimated under both policies; null where there were none. */
function meansOf({ calls, measuredMs, estimatedMs }: Latencies) {
  const mean = (sum: number) => (calls === 0 ? null : rounded(sum / calls))
  return {
    calls,
    measured: mean(measuredMs),
    estimated: { actual: mean(estimatedMs.actual), other: mean(estimatedMs.other) },
  }
}

function nameOf(names: Names, id: string) {
  const { provider, model, modelId } = names(id)
  return { provider, model, model_id: modelId }
}

function paceOf(measures: Measures, id: string, pace: Pace) {
  const measured = measures.pace(id, pace)
  return measured && { ms: rounded(measured.ms), calls: measured.calls }
}

function rounded(number: number): number {
  return Math.round(number * 1000) / 1000
}
