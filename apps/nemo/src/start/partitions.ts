import { forgetOldResponses } from '@nemo/postgres/kept-responses'
import type pg from 'pg'
import type { Log } from '../log.ts'
import type { Teardown } from './teardown.ts'

const DAYS_AHEAD = 7
/** Four times a day, so that one failure costs nothing. */
const INTERVAL_MS = 6 * 3_600_000

/** Makes the request log's partitions for the days to come, and deletes responses that were kept for long enough, now and from time to time. */
export async function keepPartitionsAhead(operator: pg.Pool, teardown: Teardown, log: Log): Promise<void> {
  await makePartitions(operator)
  const timer = setInterval(() => {
    makePartitions(operator).catch((err) => log.warn({ err }, 'the partitions of the days to come could not be made'))
  }, INTERVAL_MS)
  teardown.add('the making of partitions', async () => clearInterval(timer))
}

async function makePartitions(operator: pg.Pool): Promise<void> {
  await operator.query('select create_request_log_partitions($1)', [DAYS_AHEAD])
  await forgetOldResponses(operator)
}
