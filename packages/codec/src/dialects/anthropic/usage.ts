import type { Usage, UsageClass } from '@nemo/domain/usage'
import type { JsonObject } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { count, withoutZeros } from '../openai.ts'

/**
 * A `usage` object in disjoint classes (https://platform.claude.com/docs/en/api/messages and …/build-with-claude/prompt-caching). `input_tokens` leaves out what was read
 * from the cache and what was written to it; `output_tokens` includes what was thought. What summing up a long conversation took stands beside the totals, among the iterations
 * (…/build-with-claude/compaction-threshold). Null when it is missing, isn’t made of counts, or says that nothing was used.
 */
export function readUsage(wire: unknown): Usage | null {
  if (!isObject(wire)) return null
  const compactions = Array.isArray(wire.iterations) ? wire.iterations.filter(isCompaction) : []
  const parts = [wire, ...compactions].map(readPart)
  if (parts.includes(null)) return null
  const usage = parts.reduce((sum, part) => added(sum!, part!))
  return Object.keys(usage!).length === 0 ? null : usage
}

/** What a message that breaks off is known to have taken: the input that its beginning told, and the searches that went by. */
export function seenOf(begun: JsonObject, searches: number): Usage {
  const { output: _, reasoning: __, ...input } = readUsage(begun) ?? {}
  return searches > 0 ? { ...input, search: searches } : input
}

/** By how many searches there are more with a block of content: one that failed isn't billed (https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool). */
export function searchesWith(block: unknown): number {
  if (!isObject(block)) return 0
  const { type, name, content } = block
  if (type === 'server_tool_use' && name === 'web_search') return 1
  return type === 'web_search_tool_result' && isObject(content) ? -1 : 0
}

function isCompaction(iteration: unknown): iteration is JsonObject {
  return isObject(iteration) && iteration.type === 'compaction'
}

function added(a: Usage, b: Usage): Usage {
  const sum: { [C in UsageClass]?: number } = { ...a }
  for (const usageClass of Object.keys(b) as UsageClass[]) sum[usageClass] = (sum[usageClass] ?? 0) + b[usageClass]!
  return sum
}

function readPart(wire: JsonObject): Usage | null {
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
  return withoutZeros({
    input,
    cachedInput,
    // The total counts: a stream’s later totals come without the breakdown.
    cacheWrite: Math.max(written - hour, 0),
    cacheWriteHour: Math.min(hour, written),
    output: output - reasoning,
    reasoning,
    search,
  })
}

/** What a stream says of its usage later counts, where it says it: the numbers of `message_delta` are of the whole message so far. */
export function mergeUsage(before: JsonObject, later: unknown): JsonObject {
  if (!isObject(later)) return before
  return { ...before, ...Object.fromEntries(Object.entries(later).filter(([, value]) => value !== null)) }
}

/**
 * The tier in OpenAI’s words, as it is asked for or was served, with what has a price of its own: `fast` for the fast mode (https://platform.claude.com/docs/en/build-with-claude/fast-mode), `us` for
 * inference there alone (https://platform.claude.com/docs/en/manage-claude/data-residency), `fast-us` for both.
 */
export function readServiceTier({ speed, inference_geo: geo, service_tier: tier }: JsonObject): string | null {
  const place = typeof geo === 'string' && !ANYWHERE.has(geo) ? geo : null
  if (speed === 'fast') return place === null ? 'fast' : `fast-${place}`
  if (place !== null) return place
  return typeof tier !== 'string' ? null : tier === 'standard' ? 'default' : tier
}

/** At the usual price; older models don’t know where they are. */
const ANYWHERE = new Set(['global', 'not_available', ''])
