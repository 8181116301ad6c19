import { invalidRequest } from './errors.ts'

/** How an organization may want deployments to be picked. docs/routing.md has each one's formula. */
export const STRATEGIES = ['simple-shuffle', 'least-busy', 'usage-based', 'latency-based', 'cost-based'] as const
export type Strategy = (typeof STRATEGIES)[number]

/** How many further groups a call may fall back to. */
export const CHAIN_MAX = 4

/** What an organization says of how its calls are routed, beside its strategy. What it leaves out is as the operator set it, and is never more than that. */
export interface RoutingSettings {
  /** Attempts in a group beyond the first. */
  readonly retriesMax?: number
  /** Until the answer, or a stream's first token, whatever the number of attempts; until a provider's first byte; between two bytes. */
  readonly totalTimeoutMs?: number
  readonly firstByteTimeoutMs?: number
  readonly idleTimeoutMs?: number
  /** So many failures within the window, of at least half of the calls in it, and a deployment is left out for the cooldown. */
  readonly failuresMax?: number
  readonly failureWindowMs?: number
  readonly cooldownMs?: number
  /** Whether a conversation stays where its prompt is cached. Yes, unless it says no. */
  readonly sticky?: boolean
  /** By the name of the group. */
  readonly groups?: Readonly<Record<string, GroupOverride>>
}

/** What an organization says of one group. Deployments are named by their id, or as `provider/model`. */
export interface GroupOverride {
  readonly strategy?: Strategy
  /** Replaces the group's chain; none at all, where it is empty. */
  readonly chain?: readonly string[]
  readonly weights?: Readonly<Record<string, number>>
  /** Never called for this organization. */
  readonly drop?: readonly string[]
}

export const NO_ROUTING: RoutingSettings = {}

const MINUTE_MS = 60_000
/** The least and the most of each. */
export const ROUTING_NUMBERS = {
  retriesMax: [0, 10],
  totalTimeoutMs: [1, 60 * MINUTE_MS],
  firstByteTimeoutMs: [1, 60 * MINUTE_MS],
  idleTimeoutMs: [1, 60 * MINUTE_MS],
  failuresMax: [1, 1_000],
  failureWindowMs: [100, 60 * MINUTE_MS],
  cooldownMs: [100, 60 * MINUTE_MS],
} as const satisfies Partial<Record<keyof RoutingSettings, readonly [min: number, max: number]>>
/** As they are written in JSON: `retries_max`. */
const NUMBERS = new Map(
  Object.entries(ROUTING_NUMBERS).map(([name, range]) => [
    written(name),
    { name, range: range as readonly [number, number] },
  ]),
)
const GROUPS_MAX = 200
const NAMES_MAX = 100
const NAME_LENGTH_MAX = 200

/** Reads such settings from JSON. Throws a 400 whose `param` is the path of what is wrong. */
export function readRoutingSettings(value: unknown, path = 'routing'): RoutingSettings {
  const settings: Record<string, unknown> = {}
  for (const [name, one] of Object.entries(objectAt(value, path))) {
    const at = `${path}.${name}`
    const number = NUMBERS.get(name)
    if (number) settings[number.name] = integerAt(one, at, ...number.range)
    else if (name === 'sticky') settings[name] = flagAt(one, at)
    else if (name === 'groups') settings[name] = groupsAt(one, at)
    else throw invalidRequest(at, `${at} is not a routing setting. These are: ${KNOWN.join(', ')}.`)
  }
  return settings
}

/** The same as JSON. */
export function writeRoutingSettings(settings: RoutingSettings): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [written(name), value]))
}

function written(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

const KNOWN = [...NUMBERS.keys(), 'sticky', 'groups']

function groupsAt(value: unknown, path: string): Record<string, GroupOverride> {
  const groups = Object.entries(objectAt(value, path))
  if (groups.length > GROUPS_MAX) throw invalidRequest(path, `${path} may name ${GROUPS_MAX} groups at most.`)
  return Object.fromEntries(groups.map(([name, group]) => [nameAt(name, path), groupAt(group, `${path}.${name}`)]))
}

function groupAt(value: unknown, path: string): GroupOverride {
  const group: Record<string, unknown> = {}
  for (const [name, one] of Object.entries(objectAt(value, path))) {
    const at = `${path}.${name}`
    if (name === 'strategy') group[name] = strategyAt(one, at)
    else if (name === 'chain') group[name] = chainAt(one, at)
    else if (name === 'drop') group[name] = namesAt(one, at, NAMES_MAX)
    else if (name === 'weights') {
      const weights = Object.entries(objectAt(one, at))
      if (weights.length > NAMES_MAX) throw invalidRequest(at, `${at} may hold ${NAMES_MAX} weights at most.`)
      group[name] = Object.fromEntries(weights.map(([of, n]) => [nameAt(of, at), integerAt(n, `${at}.${of}`, 1, 1e6)]))
    } else throw invalidRequest(at, `${at} is not a setting of a group. These are: strategy, chain, weights, drop.`)
  }
  return group
}

/** A strategy's name. Throws a 400 that lists them. */
export function strategyAt(value: unknown, path: string): Strategy {
  if (STRATEGIES.includes(value as Strategy)) return value as Strategy
  throw invalidRequest(path, `${path} must be one of ${STRATEGIES.join(', ')}.`)
}

/** The names of further groups, in their order. Throws a 400 that says what is wrong with them. */
export function chainAt(value: unknown, path: string): string[] {
  return namesAt(value, path, CHAIN_MAX)
}

/** Tags: of a key's defaults or of a request. Throws a 400 that says what is wrong with them. */
export function tagsAt(value: unknown, path: string): string[] {
  return namesAt(value, path, NAMES_MAX)
}

function namesAt(value: unknown, path: string, max: number): string[] {
  if (!Array.isArray(value)) throw invalidRequest(path, `${path} must be an array of strings.`)
  if (value.length > max) throw invalidRequest(path, `${path} may have ${max} items at most.`)
  return value.map((name, i) => nameAt(name, `${path}[${i}]`))
}

function nameAt(value: unknown, path: string): string {
  const isStorable = typeof value === 'string' && value.isWellFormed() && !value.includes('\0')
  if (isStorable && value !== '' && value.length <= NAME_LENGTH_MAX) return value
  throw invalidRequest(path, `${path} must be a string of 1 to ${NAME_LENGTH_MAX} characters.`)
}

function integerAt(value: unknown, path: string, min: number, max: number): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
  throw invalidRequest(path, `${path} must be a whole number from ${min} to ${max}.`)
}

function flagAt(value: unknown, path: string): boolean {
  if (typeof value === 'boolean') return value
  throw invalidRequest(path, `${path} must be true or false.`)
}

function objectAt(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw invalidRequest(path, `${path} must be an object.`)
}
