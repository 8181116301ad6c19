import { isObject, type JsonObject } from '../json.ts'
import { Refusal } from '../refusal.ts'

/** A field that must be there. OpenAI says so with `missing_required_parameter`. */
export function required(body: JsonObject, name: string, param = name): unknown {
  const value = body[name]
  if (value === undefined || value === null) {
    throw new Refusal(400, `Missing required parameter: '${param}'.`, {
      param,
      code: 'missing_required_parameter',
    })
  }
  return value
}

/** Optional fields read as undefined when they are null, as OpenAI reads them. */
export function optionalInteger(body: JsonObject, name: string, least: number, most: number): number | undefined {
  const value = optionalNumber(body, name, least, most)
  if (value !== undefined && !Number.isInteger(value)) throw wrongType(name, 'an integer')
  return value
}

export function optionalNumber(body: JsonObject, name: string, least: number, most: number): number | undefined {
  const value = body[name] ?? undefined
  if (value === undefined) return undefined
  if (typeof value !== 'number') throw wrongType(name, 'a number')
  if (value < least || value > most) throw invalidValue(name, `expected a value from ${least} to ${most}`)
  return value
}

export function optionalBoolean(body: JsonObject, name: string): boolean {
  const value = body[name] ?? false
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean')
  return value
}

export function optionalObject(body: JsonObject, name: string): JsonObject | undefined {
  const value = body[name] ?? undefined
  if (value !== undefined && !isObject(value)) throw wrongType(name, 'an object')
  return value
}

export function optionalOneOf<T extends string>(body: JsonObject, name: string, allowed: readonly T[]): T | undefined {
  const value = body[name] ?? undefined
  if (value === undefined) return undefined
  const found = allowed.find((one) => one === value)
  if (found === undefined) throw invalidValue(name, `supported values are: ${allowed.join(', ')}`)
  return found
}

export function wrongType(param: string, expected: string): Refusal {
  return new Refusal(400, `Invalid type for '${param}': expected ${expected}.`, { param, code: 'invalid_type' })
}

export function invalidValue(param: string, why: string): Refusal {
  return new Refusal(400, `Invalid value for '${param}': ${why}.`, { param, code: 'invalid_value' })
}
