import { formatUsd } from '@nemo/domain/money'
import type { ProveOptions } from './options.ts'

/** One invariant: how often it was broken, which must be 0, and what broke it. */
export interface Verdict {
  readonly name: string
  readonly broken: number
  readonly examples: readonly object[]
}

export interface Report {
  readonly options: ProveOptions
  readonly ground: string
  readonly processes: number
  readonly seconds: number
  readonly calls: number
  readonly callsPerSecond: number
  readonly statuses: Readonly<Record<string, number>>
  readonly hangUps: number
  readonly charged: number
  readonly boughtNanos: bigint
  readonly spentNanos: bigint
  readonly lossNanos: bigint
  readonly lateCharges: number
  readonly kills: number
  readonly restarts: { readonly of: 'server' | 'connections'; readonly count: number }
  readonly payments: { readonly grants: number; readonly refunds: number; readonly reversals: number }
  /** Budgets that were moved, and lifted and set anew; keys that got another secret, and that came into another team. */
  readonly changes: {
    readonly budgets: number
    readonly lifted: number
    readonly secrets: number
    readonly teams: number
  }
  readonly newKeys: number
  readonly snapshots: { readonly counters: number; readonly books: number }
  readonly probes: { readonly made: number; readonly passedOver: number }
  /** Seconds from the end of the load until the dead held nothing any more. */
  readonly secondsUntilFree: number
  readonly verdicts: readonly Verdict[]
}

export function isProven(report: Report): boolean {
  return report.verdicts.every(({ broken }) => broken === 0)
}

export function reportForProgram(report: Report): object {
  const { options, boughtNanos, spentNanos, lossNanos, verdicts, ...rest } = report
  return plain({
    proven: isProven(report),
    seed: options.seed,
    options,
    ...rest,
    bought_usd: formatUsd(boughtNanos),
    spent_usd: formatUsd(spentNanos),
    loss_usd: formatUsd(lossNanos),
    verdicts,
  }) as object
}

export function reportForPeople(report: Report): string {
  const { options, restarts, payments, changes, snapshots, probes } = report
  const what =
    restarts.of === 'server'
      ? 'restarts of Postgres'
      : 'cuts of every connection to Postgres (not restarted: it is your server)'
  const lines = [
    `Seed ${options.seed}: ${options.processes} processes, ${options.racers} racers, ${report.seconds.toFixed(0)} s, on ${report.ground}`,
    `${report.calls} calls, ${report.callsPerSecond.toFixed(0)} a second; ${report.charged} were charged; ${report.hangUps} clients hung up`,
    `${report.kills} processes killed, ${restarts.count} ${what}`,
    `Bought $${formatUsd(report.boughtNanos)} in ${payments.grants} purchases, each sent twice, less ${payments.refunds} refunds and ${payments.reversals} reversals; spent $${formatUsd(report.spentNanos)}; ` +
      `the platform’s loss on bills beyond every limit $${formatUsd(report.lossNanos)}, ${report.lateCharges} of them charged late`,
    `${changes.budgets} budgets moved and ${changes.lifted} lifted under way; ${changes.secrets} keys got another secret, ${changes.teams} another team`,
    `${report.newKeys} keys made on the way; ${snapshots.counters} looks at the counters, ${snapshots.books} at the books; ` +
      `${probes.made} probes of accounts with room, ${probes.passedOver} without`,
    `${report.secondsUntilFree.toFixed(1)} s after the load, the dead held nothing any more`,
    '',
    'Answers',
    ...Object.entries(report.statuses)
      .sort(([, a], [, b]) => b - a)
      .map(([label, count]) => `  ${String(count).padStart(9)}  ${label}`),
    '',
    'Must be 0',
    ...report.verdicts.map(
      ({ name, broken }) => `  ${broken === 0 ? '✓' : '✗'} ${String(broken).padStart(7)}  ${name}`,
    ),
    ...report.verdicts
      .filter(({ broken }) => broken > 0)
      .flatMap(({ name, examples }) => [
        '',
        `${name}:`,
        ...examples.slice(0, 3).map((one) => `  ${JSON.stringify(plain(one))}`),
      ]),
    '',
    isProven(report)
      ? 'Proven: nothing drifted.'
      : `Not proven. Repeat it with --seed ${options.seed}, and report this: it must not happen.`,
  ]
  return lines.join('\n')
}

/** Big integers as decimal strings: an example may have any. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? String(member) : member)))
}
