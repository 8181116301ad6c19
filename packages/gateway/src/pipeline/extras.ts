import { oneOf } from '@nemo/codec/fields'
import { invalidRequest } from '@nemo/domain/errors'
import { STRATEGIES, type Strategy } from '../routing/decide.ts'

/** The request extras of ours that this release honours. */
export interface Extras {
  readonly tags: readonly string[]
  readonly strategy: Strategy | null
  readonly maxRetries: number | null
  readonly timeoutMs: number | null
}

/** Known, but of no effect yet. They are refused rather than passed over: a guardrail that silently doesn't run is worse than none. */
const NOT_YET = new Set([
  'nemo_guardrail_ids',
  'nemo_prompt_template_id',
  'nemo_prompt_variables',
  'nemo_prompt_version',
  'nemo_fallbacks',
  'nemo_max_cost',
])

/** What `extra_body` and `metadata` held of ours is merged into the top level, which wins. */
export type Fields = Readonly<Record<string, unknown>>

/** Reads every `nemo_*` field. Throws a 400 that names the field on one that is unknown, malformed, or not available yet. */
export function readExtras(fields: Fields): Extras {
  const extras: { -readonly [E in keyof Extras]: Extras[E] } = {
    tags: [],
    strategy: null,
    maxRetries: null,
    timeoutMs: null,
  }
  for (const name of Object.keys(fields)) {
    if (!name.startsWith('nemo_')) continue
    const value = fields[name]
    switch (name) {
      case 'nemo_tags':
        if (!Array.isArray(value) || !value.every((tag) => typeof tag === 'string')) {
          throw invalidRequest(name, `${name} must be an array of strings.`)
        }
        extras.tags = value
        break
      case 'nemo_max_retries':
        extras.maxRetries = integer(name, value, 0, 10)
        break
      case 'nemo_timeout_ms':
        extras.timeoutMs = integer(name, value, 1, 3_600_000)
        break
      case 'nemo_strategy':
        extras.strategy = oneOf(value, STRATEGIES, name)
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
