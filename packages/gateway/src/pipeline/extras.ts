import { invalidRequest } from '@nemo/domain/errors'
import { type Nanos, parseUsd } from '@nemo/domain/money'
import { chainAt, type Strategy, strategyAt, tagsAt } from '@nemo/domain/routing-settings'

/** The request extras of ours that this release honours. */
export interface Extras {
  readonly tags: readonly string[]
  readonly strategy: Strategy | null
  readonly maxRetries: number | null
  readonly timeoutMs: number | null
  /** The groups to fall back to, in place of the chain that is configured; null where the request doesn't say. */
  readonly fallbacks: readonly string[] | null
  /** What the call may cost at most. */
  readonly maxCost: Nanos | null
}

/** Known, but of no effect yet. They are refused rather than passed over: a guardrail that silently doesn't run is worse than none. */
const NOT_YET = new Set([
  'nemo_guardrail_ids',
  'nemo_prompt_template_id',
  'nemo_prompt_variables',
  'nemo_prompt_version',
])

/** What `extra_body` and `metadata` held of ours is merged into the top level, which wins. */
export type Fields = Readonly<Record<string, unknown>>

/** What the caller asks of a provider. */
export function withoutOurs(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([name]) => !name.startsWith('nemo_') && name !== 'extra_body'),
  )
}

/** Reads every `nemo_*` field. Throws a 400 that names the field on one that is unknown, malformed, or not available yet. */
export function readExtras(fields: Fields): Extras {
  const extras: { -readonly [E in keyof Extras]: Extras[E] } = {
    tags: [],
    strategy: null,
    maxRetries: null,
    timeoutMs: null,
    fallbacks: null,
    maxCost: null,
  }
  for (const name of Object.keys(fields)) {
    if (!name.startsWith('nemo_')) continue
    const value = fields[name]
    switch (name) {
      case 'nemo_tags':
        extras.tags = tagsAt(value, name)
        break
      case 'nemo_fallbacks':
        extras.fallbacks = chainAt(value, name)
        break
      case 'nemo_max_cost':
        extras.maxCost = usd(name, value)
        break
      case 'nemo_max_retries':
        extras.maxRetries = integer(name, value, 0, 10)
        break
      case 'nemo_timeout_ms':
        extras.timeoutMs = integer(name, value, 1, 3_600_000)
        break
      case 'nemo_strategy':
        extras.strategy = strategyAt(value, name)
        break
      case 'nemo_cache':
        // Nothing is cached yet, so that either wish is met by doing nothing.
        if (typeof value !== 'boolean') throw invalidRequest(name, `${name} must be a boolean.`)
        break
      default:
        throw invalidRequest(
          name,
          NOT_YET.has(name)
            ? `${name} is not available yet. The request was not sent.`
            : `${name} is not a known parameter.`,
        )
    }
  }
  return extras
}

function integer(name: string, value: unknown, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalidRequest(name, `${name} must be an integer from ${min} to ${max}.`)
  }
  return value as number
}

/** An amount as a decimal string, or as a number that is one when it is written. */
function usd(name: string, value: unknown): Nanos {
  try {
    const nanos = parseUsd(typeof value === 'number' ? String(value) : typeof value === 'string' ? value : '')
    if (nanos > 0n) return nanos
  } catch {
    // What is wrong with it is said below.
  }
  throw invalidRequest(name, `${name} must be a positive amount in USD with at most nine decimals, such as "0.05".`)
}
