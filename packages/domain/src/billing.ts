import { formatUsd, type Nanos, parseUsd } from './money.ts'

/** What cards are charged in: whole cents of USD. */
export type Cents = bigint

const NANOS_PER_CENT = 10_000_000n
const BASIS_POINTS = 10_000n

/** The least and the most credits that one purchase may be for. */
export const PURCHASE_CENTS_MIN: Cents = 500n
export const PURCHASE_CENTS_MAX: Cents = 5_000_000n

/**
 * The platform's fee on top of credits, rounded to the cent, half a cent up. `basisPoints` are hundredths of a percent: 400 is 4 %.
 * The trigger freeze_fee of the database computes the same.
 */
export function feeOf(creditsCents: Cents, basisPoints: number): Cents {
  return (creditsCents * BigInt(basisPoints) + BASIS_POINTS / 2n) / BASIS_POINTS
}

export interface Charged {
  readonly creditsCents: Cents
  readonly feeCents: Cents
}

/**
 * How much of what was charged are credits and how much is fee, when `reversedCents` of it have gone back: in proportion, to the cent, half a cent of
 * credits up. Both grow with what is reversed, and when all is they are exactly what was charged.
 */
export function shareOf({ creditsCents, feeCents }: Charged, reversedCents: Cents): Charged {
  const total = creditsCents + feeCents
  if (reversedCents < 0n || reversedCents > total)
    throw new RangeError(`${reversedCents} of ${total} cents can't be reversed`)
  const credits = (2n * reversedCents * creditsCents + total) / (2n * total)
  return { creditsCents: credits, feeCents: reversedCents - credits }
}

export function nanosOf(cents: Cents): Nanos {
  return cents * NANOS_PER_CENT
}

/** Reads an amount of USD in whole cents. Throws a RangeError on anything finer, or that isn't an amount. */
export function parseCents(text: string): Cents {
  const nanos = parseUsd(text)
  if (nanos % NANOS_PER_CENT !== 0n) throw new RangeError(`"${text}" is finer than a cent: write an amount like 100.00`)
  return nanos / NANOS_PER_CENT
}

/** Writes cents with both decimals: 10_400n is "104.00". */
export function formatCents(cents: Cents): string {
  return formatMoney(nanosOf(cents))
}

/** Writes nanodollars exactly, with two decimals at least: "5.00", "0.0015". */
export function formatMoney(nanos: Nanos): string {
  const text = formatUsd(nanos)
  const decimals = text.includes('.') ? text.length - text.indexOf('.') - 1 : 0
  if (decimals >= 2) return text
  return decimals === 1 ? `${text}0` : `${text}.00`
}

/** How a fee is read: 400 is "4", 250 is "2.5". In percent. */
export function formatPercent(basisPoints: number): string {
  return String(basisPoints / 100)
}
