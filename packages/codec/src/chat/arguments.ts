import { invalidRequest } from '@nemo/domain/errors'
import { isObject } from '../fields.ts'
import type { JsonObject } from './request.ts'

/** A call's arguments as the object that they are; none are an empty one. Throws a 400 that names `param` on what is no JSON of an object. */
export function parseArguments(json: string, param: string): JsonObject {
  if (json.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw invalidRequest(param, `${param} must be JSON.`)
  }
  if (!isObject(value)) throw invalidRequest(param, `${param} must be the JSON of an object.`)
  return value
}
