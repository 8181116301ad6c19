import { hash } from 'node:crypto'

/** A number in [0, 1). The same seed gives the same sequence (mulberry32). */
export type Random = () => number

export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** A 32-bit seed that depends on every byte of the text. */
export function seedOf(text: string): number {
  return Number.parseInt(hash('sha1', text, 'hex').slice(0, 8), 16)
}

/** Keeps sequences drawn for one request apart: its choices, its tool calls. */
export function seedPart(seed: number, part: number): number {
  return (seed + Math.imul(part, 0x9e3779b9)) >>> 0
}

export function pick<T>(random: Random, from: readonly [T, ...T[]]): T {
  return from[Math.floor(random() * from.length)] ?? from[0]
}
