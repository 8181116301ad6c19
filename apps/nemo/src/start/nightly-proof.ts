import type { Gateway } from '@nemo/gateway/gateway'
import { proveLedger } from '@nemo/ledger/proof'
import type pg from 'pg'
import type { Log } from '../log.ts'
import type { Teardown } from './teardown.ts'

const SOON_MS = 60_000
const DAY_MS = 24 * 60 * 60_000
/** Three in the morning, UTC: when most installations sleep. */
const HOUR = 3

/**
 * Proves the books once soon after the start and then every night. What it finds wrong is logged as an error, and is a metric that must be 0; nothing is
 * mended by itself, because what broke it isn't known.
 */
export function proveNightly(operator: pg.Pool, gateway: Gateway, teardown: Teardown, log: Log): void {
  const prove = async () => {
    try {
      const proof = await proveLedger(operator)
      gateway.metrics.proved(proof)
      const { overspent, heldDrift, balanceDrift, entryDrift, purchaseDrift } = proof
      if (heldDrift.length + balanceDrift.length + entryDrift.length + purchaseDrift.length > 0) {
        log.error(
          { heldDrift, balanceDrift, entryDrift, purchaseDrift },
          'the books do not add up: nemo doctor says more',
        )
      }
      if (overspent.length > 0) log.warn({ overspent }, 'limits are exceeded: were they lowered below what was used?')
    } catch (err) {
      log.warn({ err }, 'the books could not be proved')
    }
  }
  let timer: NodeJS.Timeout
  const proveIn = (ms: number) => {
    timer = setTimeout(async () => {
      await prove()
      proveIn(untilHour(new Date(), HOUR))
    }, ms).unref()
  }
  proveIn(SOON_MS)
  teardown.add('the nightly proof', async () => clearTimeout(timer))
}

/** Milliseconds until it is the hour next, in UTC. */
function untilHour(now: Date, hour: number): number {
  const next = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate(), hour)
  return next > now.getTime() ? next - now.getTime() : next + DAY_MS - now.getTime()
}
