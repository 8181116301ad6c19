import { proveLedger } from '@nemo/ledger/proof'
import type pg from 'pg'
import { type Finding, ok, problem, warning } from './finding.ts'

const MUST_NOT = 'Stop charging and report this: it must not happen.'

/** Proves the money, in one snapshot, also of a gateway at work. */
export async function examineLedger(operator: pg.Pool): Promise<Finding[]> {
  const { overspent, heldDrift, balanceDrift, entryDrift, purchaseDrift } = await proveLedger(operator)
  return [
    verdict(
      balanceDrift,
      'Every balance is the sum of its ledger entries',
      'balances are not the sum of their entries',
    ),
    verdict(
      entryDrift,
      'Every usage entry is the sum of its requests’ charges',
      'usage entries are not the sum of their requests’ charges',
    ),
    verdict(
      purchaseDrift,
      'Every purchase has the entries and the invoice of what was charged',
      'purchases have other entries or another invoice than what was charged',
    ),
    verdict(
      heldDrift,
      'What counters hold is the sum of the allotments',
      'counters hold another sum than the allotments',
    ),
    // A bound that was lowered below what was used is the one way to get there.
    overspent.length === 0
      ? ok('No limit is exceeded')
      : warning(
          `${overspent.length} limits are exceeded: ${first(overspent)}`,
          'Expected only where a limit was lowered below what was used.',
        ),
    await theDead(operator),
  ]
}

function verdict(wrong: readonly object[], good: string, bad: string): Finding {
  return wrong.length === 0 ? ok(good) : problem(`${wrong.length} ${bad}: ${first(wrong)}`, MUST_NOT)
}

function first(rows: readonly object[]): string {
  return JSON.stringify(rows[0], (_, value) => (typeof value === 'bigint' ? String(value) : value))
}

async function theDead(operator: pg.Pool): Promise<Finding> {
  const { rows } = await operator.query(
    `select count(distinct p.id)::int as dead from processes p join allotments a on a.process_id = p.id
      where p.dead_at is null and p.heartbeat_at < clock_timestamp() - interval '30 seconds'`,
  )
  if (rows[0].dead === 0) return ok('Nothing is held by a process that died')
  return warning(
    `${rows[0].dead} processes died and still hold something`,
    'A running nemo gives it back within a minute.',
  )
}
