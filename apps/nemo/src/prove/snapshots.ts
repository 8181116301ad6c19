import { setTimeout as sleep } from 'node:timers/promises'
import { proveLedger } from '@nemo/ledger/proof'
import type pg from 'pg'

/** What was wrong at any moment that was looked at. Each list has at most a few examples; the counts say how many there were. */
export interface Snapshots {
  taken: number
  proofs: number
  overspent: Finding
  heldDrift: Finding
  balanceDrift: Finding
  entryDrift: Finding
}

interface Finding {
  count: number
  readonly examples: object[]
}

export function newSnapshots(): Snapshots {
  const finding = () => ({ count: 0, examples: [] })
  return {
    taken: 0,
    proofs: 0,
    overspent: finding(),
    heldDrift: finding(),
    balanceDrift: finding(),
    entryDrift: finding(),
  }
}

const EXAMPLES_MAX = 5
const EVERY_MS = 250
/** The whole proof reads every log row: it may take this part of the time, and no more. */
const PROOF_PART = 1 / 10

/** Looks at every counter again and again while everything runs, and at all of the books as often as that is cheap. */
export async function takeSnapshots(
  operator: pg.Pool,
  lowered: ReadonlySet<string>,
  snapshots: Snapshots,
  stop: AbortSignal,
): Promise<void> {
  let nextProofAt = 0
  while (!stop.aborted) {
    try {
      await lookAtCounters(operator, lowered, snapshots)
      if (performance.now() >= nextProofAt) {
        const began = performance.now()
        await lookAtBooks(operator, snapshots)
        nextProofAt = performance.now() + (performance.now() - began) / PROOF_PART
      }
    } catch {
      // Postgres is away: it is looked at again when it is back.
    }
    await sleep(EVERY_MS, null, { signal: stop }).catch(() => {})
  }
}

/** Whether any counter stands above its bound, but for those whose bound was lowered. */
export async function lookAtCounters(
  operator: pg.Pool,
  lowered: ReadonlySet<string>,
  snapshots: Snapshots,
): Promise<void> {
  const { rows } = await operator.query(
    `select l.id, l.subject, l.resource, l.window_name, l.bound, c.used, c.held
       from counters c join limits l on l.id = c.limit_id where c.used + c.held > l.bound`,
  )
  snapshots.taken++
  note(
    snapshots.overspent,
    rows.filter((row) => !lowered.has(row.id)),
  )
}

/** Whether all of the books agree. */
export async function lookAtBooks(operator: pg.Pool, snapshots: Snapshots): Promise<void> {
  const { heldDrift, balanceDrift, entryDrift } = await proveLedger(operator)
  snapshots.proofs++
  note(snapshots.heldDrift, heldDrift)
  note(snapshots.balanceDrift, balanceDrift)
  note(snapshots.entryDrift, entryDrift)
}

function note(finding: Finding, wrong: readonly object[]): void {
  finding.count += wrong.length
  finding.examples.push(...wrong.slice(0, EXAMPLES_MAX - finding.examples.length))
}
