import { parseUsd } from '@nemo/domain/money'
import type { NewLimit } from '@nemo/postgres/virtual-keys'
import { WrongUsage } from '../failure.ts'

export interface LimitOptions {
  rpm?: bigint
  tpm?: bigint
  parallel?: bigint
  budget?: string
  budgetWindow?: string
}

const BUDGET_WINDOWS = ['day', 'week', 'month', 'total'] as const

/** The limits that the options ask for. Throws on a budget that isn't an amount, and on a window without a budget. */
export function limitsOf(options: LimitOptions): NewLimit[] {
  const limits: NewLimit[] = []
  if (options.rpm !== undefined) limits.push({ resource: 'requests', window: 'minute', bound: options.rpm })
  if (options.tpm !== undefined) limits.push({ resource: 'tokens', window: 'minute', bound: options.tpm })
  if (options.parallel !== undefined) limits.push({ resource: 'parallel', window: 'now', bound: options.parallel })
  const window = BUDGET_WINDOWS.find((one) => one === (options.budgetWindow ?? 'total'))
  if (!window)
    throw new WrongUsage(`--budget-window must be ${BUDGET_WINDOWS.join(', ')}, not "${options.budgetWindow}".`)
  if (options.budget !== undefined)
    limits.push({ resource: 'cost', window, bound: parseAmount(options.budget, '--budget') })
  else if (options.budgetWindow !== undefined) throw new WrongUsage('--budget-window needs a --budget.')
  return limits
}

/** More than this would not fit the ledger's 64 bits of nanodollars by far, and is a slip of the hand. */
const USD_MAX = 1_000_000_000n

/** An amount that isn't negative, in nanodollars. */
export function parseAmount(text: string, option: string): bigint {
  let nanos: bigint
  try {
    nanos = parseUsd(text.replace(/^\$/, ''))
  } catch (error) {
    throw new WrongUsage(`${option}: ${(error as Error).message}.`)
  }
  if (nanos < 0n || nanos > USD_MAX * 1_000_000_000n)
    throw new WrongUsage(`${option} must be from 0 to ${USD_MAX} USD.`)
  return nanos
}

const UNITS_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `30d`, `12h`, `45m` from now, or a date. Throws on one that is past. */
export function parseExpiry(text: string, now: Date): Date {
  const span = /^(\d{1,6})([mhd])$/.exec(text)
  const isDate = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:?\d{2})?)?$/.test(text)
  const moment = span
    ? new Date(now.getTime() + Number(span[1]) * UNITS_MS[span[2] as keyof typeof UNITS_MS])
    : new Date(isDate ? text : Number.NaN)
  if (Number.isNaN(moment.getTime())) {
    throw new WrongUsage(`--expires "${text}" is neither a time like 30d, 12h or 45m nor a date like 2027-01-31.`)
  }
  if (moment <= now) throw new WrongUsage(`--expires "${text}" is not in the future.`)
  return moment
}
