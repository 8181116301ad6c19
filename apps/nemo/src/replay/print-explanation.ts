import { formatUsd } from '@nemo/domain/money'
import { localTime } from '../local-time.ts'
import { print, printTable } from '../output.ts'
import type { ExplainedCandidate, Explanation } from './explanation.ts'

/** Prints a decision for a reader: what was known of each candidate, the order that follows, and what was done. */
export function printExplanation(one: Explanation): void {
  const { request_id: id, organization, model_group: group, status, seed, sticky, expected } = one
  print(`${id}, ${localTime(one.started_at)}, ${organization}: ${group ?? '–'}, ${status}`)
  print(
    `strategy ${one.strategy ?? '–'}, seed ${seed}, ${sticky === null ? 'no conversation to stay with' : `sticky to ${sticky}`}, ` +
      `expected ${expected.input_tokens}+${expected.output_tokens} tokens`,
  )
  for (const { group: name, strategy, candidates } of one.links) {
    print('')
    print(`${name}, by ${strategy}`)
    printTable(HEADINGS, candidates.map(cellsOf))
  }
  print('')
  print(
    `order: ${one.order.map((turn, i) => `${i + 1} ${nameOf(turn)}${turn.last_resort ? ' (last resort)' : ''}`).join(', ') || 'none'}`,
  )
  for (const turn of one.postponed) {
    print(
      `${nameOf(turn)} was left out since the decision, after ${turn.after_attempts} attempts, and put off to the end`,
    )
  }
  const attempts = one.attempts as readonly Attempt[]
  print(
    attempts.length === 0
      ? 'attempts: none'
      : `attempts: ${attempts.map((made) => `${nameOf(made)} ${made.kind} = ${made.outcome} (${made.took_ms} ms)`).join(', ')}`,
  )
  print('')
  if (one.the_same) print('The same: what was tried follows from the decision.')
  else for (const difference of one.differences) print(`Not the same: ${difference}.`)
}

const HEADINGS = ['#', 'DEPLOYMENT', 'ID', 'SCORE', 'WEIGHT', 'BUSY', 'REQUESTS', 'TOKENS', 'LATENCY', 'COST', 'REMARK']

interface Attempt {
  readonly deployment_id: string
  readonly provider: string
  readonly model: string
  readonly kind: string
  readonly outcome: string
  readonly took_ms: number
}

function cellsOf(one: ExplainedCandidate): string[] {
  const { facts } = one
  const remark = [one.excluded, facts?.full ? 'no headroom' : null].filter((text) => text !== null).join('; ')
  const position = one.position === null ? '–' : String(one.position)
  if (!facts) return [position, nameOf(one), one.deployment_id, '', '', '', '', '', '', '', `left out: ${remark}`]
  return [
    position,
    nameOf(one),
    one.deployment_id,
    String(Math.round(one.score! * 1e4) / 1e4),
    String(facts.weight),
    String(facts.in_flight),
    ofMax(facts.requests, facts.requests_max),
    ofMax(facts.tokens, facts.tokens_max),
    facts.latency_ms === null ? '–' : `${facts.latency_ms} ms`,
    facts.cost_nanos === 0 ? '–' : `$${formatUsd(BigInt(facts.cost_nanos))}`,
    remark,
  ]
}

function ofMax(count: number, max: number | null): string {
  return max === null ? '–' : `${count} of ${max}`
}

/** With the end of the id, since several deployments may have one name. */
function nameOf({ deployment_id: id, provider, model }: Nameable): string {
  return provider === null ? id : `${provider}/${model} …${id.slice(-4)}`
}

interface Nameable {
  readonly deployment_id: string
  readonly provider: string | null
  readonly model: string | null
}
