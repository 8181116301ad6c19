/** An amount of money in nanodollars (1e-9 USD). Always an integer; on the wire a decimal string of USD. */
export type Nanos = bigint

const NANOS_PER_USD = 1_000_000_000n
const USD = /^(-?)(\d+)(?:\.(\d{1,9}))?$/

/** Reads a decimal amount of USD, with at most nine decimals. Throws a RangeError on anything else: money is never rounded on the way in. */
export function parseUsd(text: string): Nanos {
  const match = USD.exec(text.trim())
  if (!match)
    throw new RangeError(`"${text}" is not an amount in USD: write a decimal with at most nine places, like 4.99`)
  const [, sign, whole, fraction = ''] = match
  const nanos = BigInt(whole!) * NANOS_PER_USD + BigInt(fraction.padEnd(9, '0'))
  return sign ? -nanos : nanos
}

/** Writes nanodollars as the shortest exact decimal of USD: 10_000_000n is "0.01". */
export function formatUsd(nanos: Nanos): string {
  const absolute = nanos < 0n ? -nanos : nanos
  const fraction = (absolute % NANOS_PER_USD).toString().padStart(9, '0').replace(/0+$/, '')
  const whole = (absolute / NANOS_PER_USD).toString()
  return `${nanos < 0n ? '-' : ''}${whole}${fraction ? `.${fraction}` : ''}`
}
