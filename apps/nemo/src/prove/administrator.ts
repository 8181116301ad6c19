import { setTimeout as sleep } from 'node:timers/promises'
import { inTransaction } from '@nemo/postgres/tenancy'
import type pg from 'pg'
import { Chance, WHO } from './chance.ts'
import { insist } from './insist.ts'
import { CALL_NANOS, type World } from './world.ts'

const EVERY_MS = 400

/**
 * Moves budgets while they are spent: to a few calls beyond what is used and held, and rarely below it. The latter are added to
 * `lowered`, for a counter of those may stand above its bound.
 */
export async function moveBudgets(
  seed: number,
  operator: pg.Pool,
  world: World,
  lowered: Set<string>,
  stop: AbortSignal,
): Promise<void> {
  const chance = new Chance(seed, WHO.administrator)
  // Only this one is ever lowered below what is used, so that every other stays proven.
  const victim = chance.of(world.budgets)
  for (;;) {
    await sleep(EVERY_MS, null, { signal: stop }).catch(() => {})
    if (stop.aborted) return
    const budget = chance.of(world.budgets)
    const beyond = CALL_NANOS * BigInt(chance.whole(0, 40))
    const below = budget === victim && chance.once(3)
    if (below) lowered.add(budget)
    await insist(() => moveBudget(operator, budget, below ? -beyond : beyond))
  }
}

/** Under the limit's lock nobody takes of it, so what is used and held can't grow meanwhile. */
async function moveBudget(operator: pg.Pool, limitId: string, beyond: bigint): Promise<void> {
  await inTransaction(operator, async (tx) => {
    await tx.query('select 1 from limits where id = $1 for no key update', [limitId])
    await tx.query(
      `update limits l set bound = greatest(0, $2 + (
         select coalesce(max(c.used + c.held), 0) from counters c where c.limit_id = l.id)) where l.id = $1`,
      [limitId, beyond],
    )
  })
}
