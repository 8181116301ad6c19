import { WrongUsage } from '../failure.ts'

const UNITS_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `7d`, `12h`, `45m` ago, or a date. Throws on anything else, and names the option. */
export function parseMoment(text: string, option: string, now: Date): Date {
  const ago = /^(\d{1,6})([mhd])$/.exec(text)
  const isDate = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:?\d{2})?)?$/.test(text)
  const moment = ago
    ? new Date(now.getTime() - Number(ago[1]) * UNITS_MS[ago[2] as keyof typeof UNITS_MS])
    : new Date(isDate ? text : Number.NaN)
  if (Number.isNaN(moment.getTime())) {
    throw new WrongUsage(`${option} "${text}" is neither a time like 7d, 12h or 45m ago nor a date like 2027-01-31.`)
  }
  return moment
}
