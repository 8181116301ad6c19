import { uuidOfRequestId } from '@nemo/domain/ids'
import type { Admissions, LogRow } from './evidence.ts'
import type { Kill } from './fleet.ts'
import type { Answer } from './witness.ts'

/** A call that was under way so shortly before its process was killed left no trace, and owes none: its client had no end of an answer. */
const AFTERMATH_MS = 3_000
/** Both ends of a span are known to some milliseconds only. */
const SPAN_MS = 60_000 - 20

export function doubleCharges(rows: readonly LogRow[]): object[] {
  const seen = new Set<string>()
  const twice: object[] = []
  for (const row of rows) {
    if (seen.has(row.id)) twice.push({ id: row.id, costNanos: row.costNanos })
    seen.add(row.id)
  }
  return twice
}

/** Answers that came in full and told their cost, without a log row of just that cost. What a dead process charged too late counts with what became a loss. */
export function lostCharges(answers: readonly Answer[], byId: ReadonlyMap<string, LogRow>): object[] {
  return answers.filter((answer) => {
    if (!answer.complete || answer.costNanos === null) return false
    const row = rowOf(answer, byId)
    return !row || row.costNanos === null || !(row.costNanos === answer.costNanos || isLate(row, answer.costNanos))
  })
}

/** The customer pays less than he was told, and the platform bears just the rest. */
function isLate({ costNanos, lossNanos }: LogRow, told: bigint): boolean {
  return costNanos! < told && costNanos! + lossNanos >= told
}

/** How many charges came after their process had been given up, and became the platform's loss in part. */
export function lateCharges(answers: readonly Answer[], byId: ReadonlyMap<string, LogRow>): number {
  return answers.filter(({ complete, costNanos, requestId }) => {
    const row = byId.get(uuidOfRequestId(requestId) ?? '')
    return (
      complete && costNanos !== null && row?.costNanos != null && row.costNanos !== costNanos && isLate(row, costNanos)
    )
  }).length
}

/** Answers that cost nothing: in full but without a charge, or begun by a process that lived on and never logged. */
export function freeCalls(
  answers: readonly Answer[],
  byId: ReadonlyMap<string, LogRow>,
  rows: readonly LogRow[],
  kills: readonly Kill[],
): object[] {
  const killedAt = new Map(kills.map(({ slot, generation, at }) => [`${slot} ${generation}`, at]))
  const unpaid = answers.filter((answer) => {
    if (answer.complete) return answer.costNanos === null || answer.costNanos === 0n
    if (rowOf(answer, byId) || answer.generation < 0) return false
    const killed = killedAt.get(`${answer.slot} ${answer.generation}`)
    return killed === undefined || killed > answer.endedAt + AFTERMATH_MS
  })
  const unpriced = rows.filter(
    ({ status, costNanos, lossNanos }) => status === 200 && (costNanos ?? 0n) + lossNanos === 0n,
  )
  return [...unpaid, ...unpriced]
}

/** Limits on requests that admitted more within 60 seconds than they allow. */
export function exceededRates(admissions: readonly Admissions[]): object[] {
  return admissions
    .map(({ limitId, name, bound, atMs }) => ({ limitId, name, bound, most: mostWithin(atMs, SPAN_MS) }))
    .filter(({ bound, most }) => BigInt(most) > bound)
}

/** The most moments that any span of this length has in it. */
export function mostWithin(moments: readonly number[], spanMs: number): number {
  const sorted = [...moments].sort((a, b) => a - b)
  let most = 0
  let first = 0
  for (let last = 0; last < sorted.length; last++) {
    while (sorted[last]! - sorted[first]! >= spanMs) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}

/** Organizations to whom another sum was paid than we paid. */
export function wrongPayments(ours: ReadonlyMap<string, bigint>, booked: ReadonlyMap<string, bigint>): object[] {
  return [...new Set([...ours.keys(), ...booked.keys()])]
    .map((id) => ({ organizationId: id, paid: ours.get(id) ?? 0n, booked: booked.get(id) ?? 0n }))
    .filter(({ paid, booked }) => paid !== booked)
}

function rowOf(answer: Answer, byId: ReadonlyMap<string, LogRow>): LogRow | undefined {
  return byId.get(uuidOfRequestId(answer.requestId) ?? '')
}
