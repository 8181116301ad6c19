import { formatUsd, parseUsd } from '@nemo/domain/money'
import { ROLES } from '@nemo/domain/roles'
import { z } from 'zod'

export const id = z.uuid().meta({ description: 'A UUIDv7' })

export const idParams = z.object({ id })

/** What people call things: no control characters, nothing but spaces at no end. */
export const name = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not have control characters')

/** A name of a model, a group or a tag. */
export const word = name.meta({ description: 'As callers write it' })

/** A whole number from 1 on. */
export const count = (max: number) => z.number().int().min(1).max(max)

/** As it is written, and compared without regard to case. */
export const email = z.email().max(254)

export const role = z.enum(ROLES)

/** A time: ISO 8601 in UTC. Handlers give dates. */
export const time = z
  .date()
  .transform((date) => date.toISOString())
  .pipe(z.string())
  .meta({ description: 'ISO 8601, UTC' })

/** USD as the API writes them, from nanodollars: at least two decimals, and never rounded. */
export const usd = z.bigint().transform(writeUsd).pipe(z.string()).meta({ description: 'USD, as a decimal' })

/** USD as callers write them, read to nanodollars. */
export const usdInput = z
  .string()
  .max(30)
  .transform((text, context) => {
    try {
      return parseUsd(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as RangeError).message })
      return z.NEVER
    }
  })

function writeUsd(nanos: bigint): string {
  const [whole, fraction = ''] = formatUsd(nanos).split('.')
  return `${whole}.${fraction.padEnd(2, '0')}`
}

export const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  after: id.optional().meta({ description: 'The last id of the page before' }),
})

/** A page of a list. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.object({
    object: z.literal('list'),
    data: z.array(item),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
  })
}

/** What is answered when something was deleted, revoked or ended. */
export function deleted<const T extends string>(object: T) {
  return z.object({ id: z.string(), object: z.literal(object), deleted: z.literal(true) })
}
