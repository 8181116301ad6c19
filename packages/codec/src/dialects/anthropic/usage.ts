import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { count } from '../openai.ts'

/**
 * A `usage` object in disjoint classes (https://platform.claude.com/docs/en/api/messages and …/build-with-claude/prompt-caching). `input_tokens` leaves out what was read
 * from the cache and what was written to it; `output_tokens` includes what was thought. Null when it is missing, isn’t made of counts, or says that nothing was used.
 */
export function readUsage(wire: unknown): Usage | null {
  if (!isObject(wire)) return null
  const creation = isObject(wire.cache_creation) ? wire.cache_creation : {}
  const details = isObject(wire.output_tokens_details) ? wire.output_tokens_details : {}
  const server = isObject(wire.server_tool_use) ? wire.server_tool_use : {}
  const input = count(wire.input_tokens)
  const output = count(wire.output_tokens)
  const cachedInput = count(wire.cache_read_input_tokens ?? 0)
  const hour = count(creation.ephemeral_1h_input_tokens ?? 0)
  const minutes = count(creation.ephemeral_5m_input_tokens ?? 0)
  const thought = count(details.thinking_tokens ?? 0)
  const search = count(server.web_search_requests ?? 0)
  if (input === null || output === null || cachedInput === null || hour === null) return null
  if (minutes === null || thought === null || search === null) return null
  const written = count(wire.cache_creation_input_tokens ?? hour + minutes)
  if (written === null) return null
  const reasoning = Math.min(thought, output)
  const usage = {
    input,
    cachedInput,
    // The total counts: a stream’s later totals come without the breakdown.
    cacheWrite: Math.max(written - hour, 0),
    cacheWriteHour: Math.min(hour, written),
    output: output - reasoning,
    reasoning,
    search,
  }
  const used = Object.entries(usage).filter(([, units]) => units !== 0)
  return used.length === 0 ? null : Object.fromEntries(used)
}

/** What a stream says of its usage later counts, where it says it: the numbers of `message_delta` are of the whole message so far. */
export function mergeUsage(before: JsonObject, later: unknown): JsonObject {
  if (!isObject(later)) return before
  return { ...before, ...Object.fromEntries(Object.entries(later).filter(([, value]) => value !== null)) }
}

/** The tier in OpenAI’s words, and `fast` for the fast mode, which has a price of its own (https://platform.claude.com/docs/en/build-with-claude/fast-mode). */
export function readServiceTier(usage: JsonObject): string | null {
  if (usage.speed === 'fast') return 'fast'
  const { service_tier: tier } = usage
  return typeof tier !== 'string' ? null : tier === 'standard' ? 'default' : tier
}
