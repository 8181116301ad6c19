import type { Usage } from '@nemo/domain/usage'
import { isObject } from '../../fields.ts'
import { count, withoutZeros } from '../openai.ts'

/**
 * `inputTokens` has neither what was read from the cache nor what was written to it; `cacheDetails` says for how long that was
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html, …/userguide/prompt-caching.html). What was thought is in `outputTokens`, and isn't told
 * apart. Null where it isn't made of counts.
 */
export function readConverseUsage(wire: unknown): Usage | null {
  if (!isObject(wire)) return null
  const input = count(wire.inputTokens)
  const output = count(wire.outputTokens)
  const cachedInput = count(wire.cacheReadInputTokens ?? 0)
  const written = count(wire.cacheWriteInputTokens ?? 0)
  if (input === null || output === null || cachedInput === null || written === null) return null
  if (input + output + cachedInput + written === 0) return null
  const details = Array.isArray(wire.cacheDetails) ? wire.cacheDetails.filter(isObject) : []
  const hour = details.reduce((sum, { ttl, inputTokens }) => sum + (ttl === '1h' ? (count(inputTokens) ?? 0) : 0), 0)
  const cacheWriteHour = Math.min(hour, written)
  return withoutZeros({ input, cachedInput, cacheWrite: written - cacheWriteHour, cacheWriteHour, output })
}
