type Headers = Readonly<Record<string, string | string[] | undefined>>

const RESOURCES = ['requests', 'tokens'] as const

/**
 * When a provider that refused for its rate limits, and didn't say `retry-after`, will have room again by its other headers: the later of the resets of what it has nothing left of, in
 * milliseconds; null where it has something left of everything, or doesn't say. OpenAI's headers (https://platform.openai.com/docs/guides/rate-limits), which Groq, Mistral and others
 * send as well, with durations such as `6m0s` or `850ms`; and Anthropic's (https://platform.claude.com/docs/en/api/rate-limits), with times.
 */
export function readRateLimitReset(headers: Headers, now: number): number | null {
  let latest: number | null = null
  for (const resource of RESOURCES) {
    const openAi = [headers[`x-ratelimit-remaining-${resource}`], headers[`x-ratelimit-reset-${resource}`]]
    const anthropic = [
      headers[`anthropic-ratelimit-${resource}-remaining`],
      headers[`anthropic-ratelimit-${resource}-reset`],
    ]
    for (const [remaining, reset] of [openAi, anthropic]) {
      if (!isNone(remaining) || reset === undefined) continue
      const ms = readReset(String(reset), now)
      if (ms !== null && (latest === null || ms > latest)) latest = ms
    }
  }
  return latest
}

function isNone(remaining: string | string[] | undefined): boolean {
  return remaining !== undefined && /^-?\d/.test(String(remaining)) && Number(remaining) <= 0
}

const UNITS_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }

/** As many seconds as this are since 1970, and as many milliseconds too. */
const EPOCH_S_LEAST = 1e9
const EPOCH_MS_LEAST = 1e12

/** A duration (`1m30.5s`, `850ms`), a number of seconds, or a time, which some write as seconds or milliseconds since 1970. */
function readReset(text: string, now: number): number | null {
  if (/^\d+(\.\d+)?$/.test(text)) {
    const number = Number(text)
    if (number < EPOCH_S_LEAST) return number * 1_000
    return Math.max((number < EPOCH_MS_LEAST ? number * 1_000 : number) - now, 0)
  }
  if (/^(\d+(\.\d+)?(ms|[dhms]))+$/.test(text)) {
    let ms = 0
    for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)) ms += Number(amount) * UNITS_MS[unit!]!
    return ms
  }
  const time = Date.parse(text)
  return Number.isNaN(time) ? null : Math.max(time - now, 0)
}
