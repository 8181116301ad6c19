import { isObject } from './json.ts'
import { Refusal } from './refusal.ts'

export type UsageOverride = {
  prompt_tokens?: number
  completion_tokens?: number
  cached_tokens?: number
  reasoning_tokens?: number
}

/** What one request may ask for in its `sandbox` field. The README's table explains each. */
export type RequestSettings = {
  latency_ms: number
  chunk_ms: number
  tokens: number | null
  unicode: boolean
  created: number
  tool_calls: number
  searches: number
  finish_reason: string | null
  refusal: boolean
  usage: 'missing' | UsageOverride | null
  cached_tokens: number
  reasoning_tokens: number
  status: number | null
  error_code: string | null
  error_message: string | null
  retry_after: number | null
  rate_limit_headers: boolean
  chunk_bytes: number | null
  crlf: boolean
  comments: boolean
  hang: 'before' | 'amid' | null
  hang_after: number
  reset: 'before' | null
  cut_at_byte: number | null
  no_done: boolean
  stream_error_after: number | null
  malformed: boolean
  not_a_stream: boolean
}

/** What the whole process can be set to: all of the above, and chance. */
export type SandboxConfig = RequestSettings & {
  failure_rate: number
  failure_status: number
  hang_rate: number
  seed: number
}

export const defaultConfig: Readonly<SandboxConfig> = {
  latency_ms: 0,
  chunk_ms: 0,
  tokens: null,
  unicode: false,
  created: Date.UTC(2026, 0, 1) / 1000,
  tool_calls: 1,
  searches: 1,
  finish_reason: null,
  refusal: false,
  usage: null,
  cached_tokens: 0,
  reasoning_tokens: 0,
  status: null,
  error_code: null,
  error_message: null,
  retry_after: null,
  rate_limit_headers: false,
  chunk_bytes: null,
  crlf: false,
  comments: false,
  hang: null,
  hang_after: 1,
  reset: null,
  cut_at_byte: null,
  no_done: false,
  stream_error_after: null,
  malformed: false,
  not_a_stream: false,
  failure_rate: 0,
  failure_status: 500,
  hang_rate: 0,
  seed: 1,
}

/** Reads a request's `sandbox` field; throws a 400 that names the setting. `null` means: as if it were never set. */
export function readRequestSettings(value: unknown): Partial<RequestSettings> {
  if (isObject(value)) {
    for (const name of processOnly) {
      if (name in value) {
        throw new Refusal(400, `The sandbox setting '${name}' belongs to the process: POST /sandbox/config.`, {
          param: `sandbox.${name}`,
          code: 'unknown_parameter',
        })
      }
    }
  }
  return readConfig(value)
}

/** Reads settings of the process; same promises. */
export function readConfig(value: unknown): Partial<SandboxConfig> {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw invalid('sandbox', 'sandbox', 'an object')
  const settings: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(value)) {
    if (!isSetting(name)) {
      throw new Refusal(400, `Unknown sandbox setting: '${name}'.`, {
        param: `sandbox.${name}`,
        code: 'unknown_parameter',
      })
    }
    if (given === undefined) continue
    const check = checks[name]
    if (given !== null && !check.accepts(given)) throw invalid(`sandbox.${name}`, name, check.expected)
    settings[name] = given ?? defaultConfig[name]
  }
  // Every value has just been held against the check of its own name.
  return settings as Partial<SandboxConfig>
}

type Check = { expected: string; accepts: (value: unknown) => boolean }

const processOnly = ['failure_rate', 'failure_status', 'hang_rate', 'seed'] as const

const flag: Check = { expected: 'a boolean', accepts: (value) => typeof value === 'boolean' }
const text: Check = { expected: 'a string', accepts: (value) => typeof value === 'string' }
const rate = number(0, 1)
const errorStatus = integer(400, 599)

const checks: Record<keyof SandboxConfig, Check> = {
  latency_ms: number(0, 3_600_000),
  chunk_ms: number(0, 3_600_000),
  tokens: integer(0, 1_000_000),
  unicode: flag,
  created: integer(0, 1e12),
  tool_calls: integer(0, 128),
  searches: integer(0, 1_000),
  finish_reason: text,
  refusal: flag,
  usage: {
    expected: `'missing' or an object of ${usageNames().join(', ')}`,
    accepts: (value) =>
      value === 'missing' ||
      (isObject(value) &&
        Object.entries(value).every(
          ([name, given]) => usageNames().includes(name) && Number.isSafeInteger(given) && (given as number) >= 0,
        )),
  },
  cached_tokens: integer(0, 1e9),
  reasoning_tokens: integer(0, 1e9),
  status: errorStatus,
  error_code: text,
  error_message: text,
  retry_after: number(0, 86_400),
  rate_limit_headers: flag,
  chunk_bytes: integer(1, 1 << 30),
  crlf: flag,
  comments: flag,
  hang: oneOf('before', 'amid'),
  hang_after: integer(0, 1_000_000),
  reset: oneOf('before'),
  cut_at_byte: integer(0, 1 << 30),
  no_done: flag,
  stream_error_after: integer(0, 1_000_000),
  malformed: flag,
  not_a_stream: flag,
  failure_rate: rate,
  failure_status: errorStatus,
  hang_rate: rate,
  seed: integer(0, 0xffffffff),
}

function isSetting(name: string): name is keyof SandboxConfig {
  return Object.hasOwn(checks, name)
}

function usageNames(): string[] {
  return ['prompt_tokens', 'completion_tokens', 'cached_tokens', 'reasoning_tokens']
}

function number(least: number, most: number): Check {
  return {
    expected: `a number from ${least} to ${most}`,
    accepts: (value) => typeof value === 'number' && value >= least && value <= most,
  }
}

function integer(least: number, most: number): Check {
  return {
    expected: `an integer from ${least} to ${most}`,
    accepts: (value) => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
  }
}

function oneOf(...allowed: string[]): Check {
  return {
    expected: allowed.map((one) => `'${one}'`).join(' or '),
    accepts: (value) => allowed.includes(value as string),
  }
}

function invalid(param: string, name: string, expected: string): Refusal {
  return new Refusal(400, `Invalid sandbox setting '${name}': expected ${expected}.`, { param, code: 'invalid_value' })
}
