import { dueTopUps } from '@nemo/postgres/billing-accounts'
import { beginTopUp } from '@nemo/postgres/billing-purchases'
import { carryOut } from './buy.ts'
import type { Desk } from './desk.ts'

const BATCH = 100

/** Tops up the balances that have come below their thresholds. Any number of processes may do it at once: one top-up begins. */
export async function topUp(desk: Desk): Promise<void> {
  for (const organizationId of await dueTopUps(desk.operator, BATCH)) {
    const purchase = await beginTopUp(desk.operator, organizationId)
    if (purchase)
      await carryOut(desk, purchase).catch((err) =>
        desk.log.warn({ err, purchase: purchase.id }, 'a top-up is asked about later'),
      )
  }
}
