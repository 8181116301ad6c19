import { isObject } from '../fields.ts'
import type { JsonObject } from './request.ts'

/**
 * A call's arguments as the object that they should be; none are an empty one. What a model wrote that is no JSON of an object is wrapped, as Anthropic advises
 * (https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming): who reads it sees what was written, and the conversation goes on.
 */
export function parseArguments(json: string): JsonObject {
  return objectOf(json) ?? wrapped(json)
}

/** The same as text, which is left as it was written where it can be. */
export function writeArguments(json: string): string {
  if (json.trim() === '') return '{}'
  return objectOf(json) === null ? JSON.stringify(wrapped(json)) : json
}

function objectOf(json: string): JsonObject | null {
  if (json.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(json)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function wrapped(json: string): JsonObject {
  return { INVALID_JSON: json }
}
