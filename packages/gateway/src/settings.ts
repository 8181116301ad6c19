import { type Network, parseNetwork } from '@nemo/domain/address'

/** What the operator may set of the data plane. Times in milliseconds. */
export interface GatewaySettings {
  readonly bodyBytesMax: number
  /** Attempts beyond the first; a request may ask for fewer. */
  readonly retriesMax: number
  /** Until a provider has taken a connection. */
  readonly connectTimeoutMs: number
  /** Until the provider's first byte, and between two bytes of an answer. */
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
  /** Until the answer, or a stream's first token, whatever the number of attempts. */
  readonly totalTimeoutMs: number
  /** So many failures of a deployment within the window, for one organization, and it is left out for the cooldown; an organization may say otherwise. */
  readonly failuresMax: number
  readonly failureWindowMs: number
  readonly cooldownMs: number
  /** Charges that wait for the database may take so many bytes before nothing more is admitted. */
  readonly journalBytesMax: number
  /** How long a stop waits for calls under way. */
  readonly drainMs: number
  /** Proxies whose `x-forwarded-for` says where a call comes from, for keys that may be used from some networks only. */
  readonly trustedProxies: readonly Network[]
}

export const DEFAULT_SETTINGS: GatewaySettings = {
  bodyBytesMax: 20 * 1024 * 1024,
  retriesMax: 2,
  connectTimeoutMs: 5_000,
  firstByteTimeoutMs: 300_000,
  idleTimeoutMs: 120_000,
  totalTimeoutMs: 600_000,
  failuresMax: 3,
  failureWindowMs: 30_000,
  cooldownMs: 10_000,
  journalBytesMax: 256 * 1024 * 1024,
  drainMs: 30_000,
  trustedProxies: [],
}

const VARIABLES: { readonly [S in Exclude<keyof GatewaySettings, 'trustedProxies'>]: string } = {
  bodyBytesMax: 'NEMO_BODY_BYTES_MAX',
  retriesMax: 'NEMO_RETRIES_MAX',
  connectTimeoutMs: 'NEMO_CONNECT_TIMEOUT_MS',
  firstByteTimeoutMs: 'NEMO_FIRST_BYTE_TIMEOUT_MS',
  idleTimeoutMs: 'NEMO_IDLE_TIMEOUT_MS',
  totalTimeoutMs: 'NEMO_TOTAL_TIMEOUT_MS',
  failuresMax: 'NEMO_FAILURES_MAX',
  failureWindowMs: 'NEMO_FAILURE_WINDOW_MS',
  cooldownMs: 'NEMO_COOLDOWN_MS',
  journalBytesMax: 'NEMO_JOURNAL_BYTES_MAX',
  drainMs: 'NEMO_DRAIN_MS',
}

/** What a timer takes: a longer one would go off at once. */
const MAX = 2 ** 31 - 1
/** These may be zero: no retry, no waiting. For the others it would mean either nothing or no bound at all. */
const MAY_BE_ZERO = new Set(['retriesMax', 'drainMs'])

/** The settings of the environment over the defaults. Throws an error that names the variable when one isn't as it must be. */
export function readSettings(environment: Record<string, string | undefined>): GatewaySettings {
  const settings: Record<string, number> = {}
  for (const [setting, variable] of Object.entries(VARIABLES)) {
    const text = environment[variable]
    if (text === undefined || text === '') continue
    const least = MAY_BE_ZERO.has(setting) ? 0 : 1
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= least && value <= MAX)) {
      throw new Error(`${variable} must be a whole number from ${least} to ${MAX}, not "${text}"`)
    }
    settings[setting] = value
  }
  return { ...DEFAULT_SETTINGS, ...settings, trustedProxies: readProxies(environment.NEMO_TRUSTED_PROXIES ?? '') }
}

function readProxies(text: string): Network[] {
  const names = text.split(',').map((name) => name.trim())
  return names.filter(Boolean).map((name) => {
    const network = parseNetwork(name)
    if (!network) throw new Error(`NEMO_TRUSTED_PROXIES must be addresses or networks like 10.1.0.0/16, not "${name}"`)
    return network
  })
}
