import { setTimeout as sleep } from 'node:timers/promises'
import { heldReversals, takeBackReleased } from '@nemo/postgres/billing-held-reversals'
import { recallCredits } from '@nemo/postgres/organizations'
import type { Desk } from './desk.ts'

const BATCH = 50
const RECALL_MS = 50

/** Takes back what calls held when their payment was reversed, and haven't spent; what processes only hold idle they are asked to give back first. */
export async function takeBackAllReleased({ operator, log }: Desk): Promise<void> {
  for (const reversal of await heldReversals(operator, BATCH)) {
    try {
      await recallCredits(operator, reversal.organizationId)
      await sleep(RECALL_MS)
      await takeBackReleased(operator, reversal)
    } catch (err) {
      log.warn({ err, reversal: reversal.id }, 'what calls held could not be taken back, and is tried again')
    }
  }
}
