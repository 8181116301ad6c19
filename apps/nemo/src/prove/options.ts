import { randomInt } from 'node:crypto'
import { WrongUsage } from '../failure.ts'

export interface ProveFlags {
  processes: bigint
  racers: bigint
  duration: string
  killEvery: string
  postgresRestarts: string
  seed?: string
  json?: boolean
  report?: string
  keep?: boolean
}

/** What a proof does. All of its chance comes from the seed. */
export interface ProveOptions {
  readonly seed: number
  readonly processes: number
  readonly racers: number
  readonly durationMs: number
  /** 0 kills none. */
  readonly killEveryMs: number
  readonly postgresRestarts: number
  readonly keep: boolean
}

export function readProveOptions(flags: ProveFlags): ProveOptions {
  return {
    seed: flags.seed === undefined ? randomInt(2 ** 31) : seedOf(flags.seed),
    processes: atMost(flags.processes, 32, '--processes'),
    racers: atMost(flags.racers, 20_000, '--racers'),
    durationMs: spanMs(flags.duration, '--duration'),
    killEveryMs: flags.killEvery === '0' ? 0 : Math.max(spanMs(flags.killEvery, '--kill-every'), 200),
    postgresRestarts: countOf(flags.postgresRestarts),
    keep: flags.keep ?? false,
  }
}

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/** `90s`, `20m`, `500ms`. */
function spanMs(text: string, option: string): number {
  const match = /^(\d{1,6})(ms|s|m|h)$/.exec(text)
  const ms = match ? Number(match[1]) * UNITS_MS[match[2] as keyof typeof UNITS_MS] : 0
  if (ms > 0 && ms <= 24 * UNITS_MS.h) return ms
  throw new WrongUsage(`${option} must be a time like 60s, 20m or 500ms, of at most a day, not "${text}".`)
}

function seedOf(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text)
  throw new WrongUsage(`--seed must be a whole number below ${2 ** 32}, not "${text}".`)
}

function countOf(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text)
  throw new WrongUsage(`--postgres-restarts must be a whole number below 1000, not "${text}".`)
}

function atMost(count: bigint, max: number, option: string): number {
  if (count <= BigInt(max)) return Number(count)
  throw new WrongUsage(`${option} must be at most ${max}.`)
}
