import { invalidRequest } from '@nemo/domain/errors'
import type { CacheControl, JsonObject } from './chat/request.ts'

/** Readers of a request's fields. Each throws a 400 that names the field; what is missing or null is null. `path` is where the object stands. */

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function objectAt(value: unknown, path: string): JsonObject {
  if (!isObject(value)) throw invalidRequest(path, `${path} must be an object.`)
  return value
}

export function arrayAt(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalidRequest(path, `${path} must be an array.`)
  return value
}

export function textAt(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalidRequest(path, `${path} must be a string.`)
  return value
}

export function readText(of: JsonObject, name: string, path = name): string | null {
  return of[name] == null ? null : textAt(of[name], path)
}

export function readFlag(of: JsonObject, name: string, path = name): boolean | null {
  const value = of[name]
  if (value == null) return null
  if (typeof value !== 'boolean') throw invalidRequest(path, `${path} must be a boolean.`)
  return value
}

export function readNumber(of: JsonObject, name: string, path = name): number | null {
  const value = of[name]
  if (value == null) return null
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalidRequest(path, `${path} must be a number.`)
  return value
}

export function readInteger(of: JsonObject, name: string, min: number, max: number, path = name): number | null {
  const value = of[name]
  if (value == null) return null
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalidRequest(path, `${path} must be an integer from ${min} to ${max}.`)
  }
  return value as number
}

export function readObject(of: JsonObject, name: string, path = name): JsonObject | null {
  return of[name] == null ? null : objectAt(of[name], path)
}

export function oneOf<T extends string>(value: unknown, allowed: readonly T[], path: string): T {
  if (!allowed.includes(value as T)) throw invalidRequest(path, `${path} must be one of ${allowed.join(', ')}.`)
  return value as T
}

/** `cache_control: {type: 'ephemeral', ttl?}`, as Anthropic has it (https://docs.claude.com/en/docs/build-with-claude/prompt-caching). */
export function readCacheControl(of: JsonObject, path: string): CacheControl | null {
  const given = readObject(of, 'cache_control', `${path}.cache_control`)
  if (given === null) return null
  oneOf(given.type, ['ephemeral'], `${path}.cache_control.type`)
  const ttl = given.ttl == null ? '5m' : oneOf(given.ttl, ['5m', '1h'], `${path}.cache_control.ttl`)
  return { ttl }
}

/** A `data:` URL in base64, taken apart; null for any other URL. */
export function readDataUrl(url: string): { mediaType: string; data: string } | null {
  const match = /^data:([^;,]*)(?:;[^;,]*)*;base64,/i.exec(url.slice(0, 300))
  return match ? { mediaType: match[1]!.toLowerCase(), data: url.slice(match[0].length) } : null
}
