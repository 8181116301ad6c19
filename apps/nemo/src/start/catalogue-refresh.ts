import { setTimeout as sleep } from 'node:timers/promises'
import { offer } from '@nemo/domain/price-book/offer'
import { readFacts } from '@nemo/domain/price-book/read-facts'
import { readPriceSource } from '@nemo/domain/price-book/read-source'
import { type RefreshReport, refreshFacts, refreshPrices } from '@nemo/postgres/price-book'
import type pg from 'pg'
import { variable } from '../environment.ts'
import type { Log } from '../log.ts'
import type { Teardown } from './teardown.ts'

/** Where genai-prices publishes its data (https://github.com/pydantic/genai-prices). */
export const PRICES_URL = 'https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json'
/** Where LiteLLM publishes what it knows of models (https://github.com/BerriAI/litellm): when they end, what is advertised of them, what they can do. */
const MODEL_FACTS_URL = 'https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json'
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
  const data = await download(url)
  const today = new Date().toISOString().slice(0, 10)
  const models = readPriceSource(data, today, onProblem).filter(({ isDeprecated }) => !isDeprecated)
  return refreshPrices(
    operator,
    models.flatMap((model) => offer(model, url)),
  )
}

/** Fetches what is known of models beside their prices, and takes it into the catalogue. Says of how many it was news. Throws as above. */
export async function refreshModelFacts(operator: pg.Pool, url: string): Promise<number> {
  return refreshFacts(operator, readFacts(await download(url)))
}

async function download(url: string): Promise<unknown> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'follow' })
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  return JSON.parse(await textOf(answer))
}

async function textOf(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length
    if (bytes > BYTES_MAX) throw new Error(`the data is larger than ${BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * Refreshes the price book and the facts of models once a day, unless NEMO_PRICES_URL or NEMO_MODEL_FACTS_URL is `off`; they may name other sources. One that can't be had is a warning.
 */
export function refreshDaily(operator: pg.Pool, teardown: Teardown, log: Log): void {
  const prices = pricesSource()
  const facts = factsSource()
  if (prices === null && facts === null) return
  const stop = new AbortController()
  teardown.add('the refresh of prices', async () => stop.abort())
  void (async () => {
    for (let wait = FIRST_MS; ; wait = DAY_MS) {
      await sleep(wait, undefined, { signal: stop.signal, ref: false })
      if (prices !== null) {
        await told(log, 'the price book', async () => ({ ...(await refreshCatalogue(operator, prices, () => {})) }))
      }
      if (facts !== null) {
        await told(log, 'the facts of models', async () => ({ changed: await refreshModelFacts(operator, facts) }))
      }
    }
  })().catch(() => {})
}

/** Where prices are refreshed from; null for nowhere. */
export function pricesSource(): string | null {
  return orOff(variable('NEMO_PRICES_URL') ?? PRICES_URL)
}

/** Where facts are; null for nowhere, as for those who have their prices from elsewhere or not at all, perhaps because there is no way out. */
export function factsSource(): string | null {
  const usual = variable('NEMO_PRICES_URL') === undefined ? MODEL_FACTS_URL : 'off'
  return orOff(variable('NEMO_MODEL_FACTS_URL') ?? usual)
}

function orOff(url: string): string | null {
  return url === 'off' ? null : url
}

async function told(log: Log, what: string, refresh: () => Promise<object>): Promise<void> {
  try {
    log.info(await refresh(), `refreshed ${what}`)
  } catch (err) {
    log.warn({ err }, `${what} could not be refreshed`)
  }
}
