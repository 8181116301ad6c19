import { setTimeout as sleep } from 'node:timers/promises'
import { uuidv7 } from '@nemo/domain/ids'
import { inTransaction } from '@nemo/postgres/tenancy'
import { rotateTenantKey, updateTenantKey } from '@nemo/postgres/tenant-keys'
import type pg from 'pg'
import { Chance, WHO } from './chance.ts'
import { insist } from './insist.ts'
import { type Account, CALL_NANOS, type World } from './world.ts'

const EVERY_MS = 400
/** How long a secret works on: longer than any run. */
const OVERLAP_SECONDS = 7 * 86_400
/** A caller may have an older secret, but not every one that ever was. */
const SECRETS_MAX = 3

/** What was changed while everything ran. */
export interface Changes {
  moved: number
  lifted: number
  rotated: number
  keysMoved: number
  /** Budgets that were lowered below what is used and held: a counter of those may stand above its bound. */
  readonly lowered: Set<string>
}

/**
 * Changes what calls are held against while they run. Budgets come to a few calls beyond what is used and held, and one of them now and then below it; others are
 * lifted, and set anew a moment later. Keys come into another team, and get another secret beside the one they have.
 */
export async function administer(
  seed: number,
  operator: pg.Pool,
  world: World,
  changes: Changes,
  stop: AbortSignal,
): Promise<void> {
  const chance = new Chance(seed, WHO.administrator)
  // Only this one is ever lowered below what is used, so that every other stays proven.
  const victim = chance.of(world.budgets)
  for (;;) {
    await sleep(EVERY_MS, null, { signal: stop }).catch(() => {})
    if (stop.aborted) return
    const budget = chance.of(world.budgets)
    const account = chance.of(world.accounts)
    const beyond = CALL_NANOS * BigInt(chance.whole(0, 40))
    const below = budget === victim && chance.once(3)
    switch (chance.whole(0, 9)) {
      case 0:
        if (budget === victim) break
        await liftAndSet(operator, world, budget, {
          bound: CALL_NANOS * BigInt(chance.whole(20, 100)),
          afterMs: chance.whole(0, 500),
        })
        changes.lifted++
        break
      case 1:
        changes.rotated += await rotate(operator, account)
        break
      case 2:
        changes.keysMoved += await moveKey(operator, world, account, chance)
        break
      default:
        if (below) changes.lowered.add(budget)
        await insist(() => moveBudget(operator, budget, below ? -beyond : beyond))
        changes.moved++
    }
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

/** Each step may be tried again when its answer was lost. */
async function liftAndSet(
  operator: pg.Pool,
  world: World,
  limitId: string,
  { bound, afterMs }: { bound: bigint; afterMs: number },
): Promise<void> {
  const { rows } = await insist(() => operator.query('select * from limits where id = $1', [limitId]))
  const [old] = rows
  await insist(() => operator.query('delete from limits where id = $1', [limitId]))
  await sleep(afterMs)
  const id = uuidv7()
  await insist(() =>
    operator.query(
      `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
      [id, old.organization_id, old.subject, old.subject_id, old.resource, old.window_name, bound],
    ),
  )
  world.budgets[world.budgets.indexOf(limitId)] = id
}

async function rotate(operator: pg.Pool, account: Account): Promise<number> {
  const secret = await insist(() =>
    inTransaction(operator, (tx) => rotateTenantKey(tx, account.keyId, OVERLAP_SECONDS)),
  )
  account.secrets.push(secret)
  if (account.secrets.length > SECRETS_MAX) account.secrets.shift()
  return 1
}

async function moveKey(operator: pg.Pool, world: World, account: Account, chance: Chance): Promise<number> {
  const { teamId } = chance.of(world.accounts.filter((other) => other.organizationId === account.organizationId))
  if (teamId === account.teamId) return 0
  await insist(() => inTransaction(operator, (tx) => updateTenantKey(tx, account.keyId, { teamId })))
  account.teamId = teamId
  return 1
}
