import { setTimeout as sleep } from 'node:timers/promises'
import { offer } from '@nemo/domain/price-book/offer'
import { readPriceSource } from '@nemo/domain/price-book/read-source'
import { type RefreshReport, refreshPrices } from '@nemo/postgres/price-book'
import type pg from 'pg'
import { variable } from '../environment.ts'
import type { Log } from '../log.ts'
import type { Teardown } from './teardown.ts'

/** Where genai-prices publishes its data (https://github.com/pydantic/genai-prices). */
export const PRICES_URL = 'https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json'
const BYTES_MAX = 32 * 1024 * 1024
const TIMEOUT_MS = 30_000
const DAY_MS = 24 * 60 * 60_000
/** Not all at once, when many installations start on the hour. */
const FIRST_MS = 10 * 60_000

/** Fetches price data and takes it into the price book. Throws when it can't be fetched, is too large, or isn't such data; then nothing has changed. */
export async function refreshCatalogue(
  operator: pg.Pool,
  url: string,
  onProblem: (message: string) => void,
): Promise<RefreshReport> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'follow' })
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  const data: unknown = JSON.parse(await textOf(answer))
  const today = new Date().toISOString().slice(0, 10)
  const models = readPriceSource(data, today, onProblem).filter(({ isDeprecated }) => !isDeprecated)
  return refreshPrices(
    operator,
    models.flatMap((model) => offer(model, url)),
  )
}

async function textOf(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length
    if (bytes > BYTES_MAX) throw new Error(`the price data is larger than ${BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Refreshes the price book once a day, unless NEMO_PRICES_URL is `off`; it may name another source. One that can't be had is a warning. */
export function refreshDaily(operator: pg.Pool, teardown: Teardown, log: Log): void {
  const url = variable('NEMO_PRICES_URL') ?? PRICES_URL
  if (url === 'off') return
  const stop = new AbortController()
  teardown.add('the refresh of prices', async () => stop.abort())
  void (async () => {
    for (let wait = FIRST_MS; ; wait = DAY_MS) {
      await sleep(wait, undefined, { signal: stop.signal, ref: false })
      try {
        const report = await refreshCatalogue(operator, url, () => {})
        log.info({ ...report }, 'refreshed the price book')
      } catch (err) {
        log.warn({ err }, 'the price book could not be refreshed')
      }
    }
  })().catch(() => {})
}
