import { note, print, printTable } from '../output.ts'
import type { ComparisonReport } from './comparison-report.ts'

/** Prints a comparison for a reader, and beside it what it couldn't take into account. */
export function printComparison(report: ComparisonReport): void {
  const { calls, elsewhere, cost_usd: cost, latency_ms: latency, failures } = report
  print(
    `${calls} calls: ${share(elsewhere.first_choice, calls)} would have gone elsewhere first, and ${share(elsewhere.answered, calls)} been answered elsewhere.`,
  )
  print('')
  printTable(
    ['', 'AS IT WAS', 'OTHERWISE', 'HOW IT IS KNOWN'],
    [
      ['cost', `$${cost.actual}`, `$${cost.other}`, 'charges; usage at the price of who would have answered'],
      ...latencyRow('to the first token', latency.to_first_token, 'streams'),
      ...latencyRow('answers', latency.of_answers, 'by their output tokens'),
      ...latencyRow('answers without tokens', latency.of_answers_without_tokens, 'by call'),
      [
        'failed calls',
        `${failures.failed} (${whole(failures.expected.actual)} by rates)`,
        whole(failures.expected.other),
        `rates of attempts within ${Math.round(failures.window_ms / 60_000)} minutes, of ${failures.calls} calls`,
      ],
    ],
  )
  print('')
  printTable(
    ['DEPLOYMENT', 'ID', 'FIRST', 'OTHERWISE', 'ANSWERED', 'OTHERWISE', 'COST', 'OTHERWISE', 'MEASURED FROM'],
    report.deployments.map((one) => [
      one.provider === null ? '–' : `${one.provider}/${one.model}`,
      one.deployment_id,
      String(one.first_choice.actual),
      String(one.first_choice.other),
      String(one.answered.actual),
      String(one.answered.other),
      `$${one.cost_usd.actual}`,
      `$${one.cost_usd.other}`,
      measuredFrom(one.measured),
    ]),
  )
  for (const remark of remarksOn(report)) note(remark)
}

function measuredFrom({ attempts, ...paces }: ComparisonReport['deployments'][number]['measured']): string {
  const { ms_to_first_token: streams, ms_per_output_token: answers, ms_per_answer: others } = paces
  return `${attempts} attempts, ${streams?.calls ?? 0} streams, ${(answers?.calls ?? 0) + (others?.calls ?? 0)} answers`
}

type Means = ComparisonReport['latency_ms']['of_answers']

function latencyRow(label: string, { calls, measured, estimated }: Means, kind: string): string[][] {
  if (calls === 0) return []
  const actual = `${milliseconds(measured)} (${milliseconds(estimated.actual)} by means)`
  return [[label, actual, milliseconds(estimated.other), `means of deployments, ${kind}, ${calls} calls`]]
}

function remarksOn({ left_out: out, astray, latency_ms, cost_usd, calls }: ComparisonReport): string[] {
  const remarks: [number, string][] = [
    [out.refused_before_routing, 'calls were refused before they were routed, and are not in it.'],
    [out.unreadable, 'calls have a decision that this release can’t read, and are not in it.'],
    [out.unpriced, 'calls depend on a deployment whose price isn’t known any more, and are not in it.'],
    [
      latency_ms.unmeasured_calls,
      'calls are not in the latencies: no call like them was answered where they would go.',
    ],
    [
      cost_usd.calls_priced_as_expected,
      'calls failed and would not have: they are priced at what they were expected to take.',
    ],
    [astray.calls, `calls were not tried in the order of their decision: ${astray.request_ids.join(', ')}.`],
  ]
  const told = remarks.flatMap(([count, text]) => (count > 0 ? [`${count} ${text}`] : []))
  return calls === 0 ? ['No call in the span was routed.', ...told] : told
}

function share(count: number, of: number): string {
  return of === 0 ? '0' : `${count} (${((count / of) * 100).toFixed(1)} %)`
}

function milliseconds(ms: number | null): string {
  return ms === null ? '–' : `${ms.toFixed(1)} ms`
}

function whole(expected: number): string {
  return expected.toFixed(1)
}
