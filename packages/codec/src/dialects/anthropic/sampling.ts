import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import type { ClaudeModel } from './models.ts'

type Unsupported = (param: string, why: string) => void

/** From 0 to 1, where OpenAI has 0 to 2. Models that refuse to be sampled otherwise than by default take the default only. */
export function writeSampling(
  request: ChatRequest,
  model: ClaudeModel,
  isThinking: boolean,
  unsupported: Unsupported,
): JsonObject {
  const given = { temperature: request.temperature, top_p: request.topP, top_k: request.topK }
  if (given.temperature !== null && (given.temperature > 1 || given.temperature < 0)) {
    unsupported('temperature', 'Anthropic’s temperature is from 0 to 1.')
    given.temperature = null
  }
  if (model.isSampled) return isThinking ? sampleThinking(given, unsupported) : given
  if (given.temperature !== null && given.temperature !== 1) unsupported('temperature', NOT_SAMPLED)
  if (given.top_p !== null && given.top_p !== 1) unsupported('top_p', NOT_SAMPLED)
  if (given.top_k !== null) unsupported('top_k', NOT_SAMPLED)
  return {}
}

/** Who thinks is sampled by default, or by nearly all of the probability (https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility). */
export function sampleThinking(given: Sampling, unsupported: Unsupported): Sampling {
  const { temperature, top_p, top_k } = given
  const isRefused = {
    temperature: temperature !== null && temperature !== 1,
    top_p: top_p !== null && top_p < 0.95,
    top_k: top_k !== null,
  }
  const kept = { ...given }
  for (const name of ['temperature', 'top_p', 'top_k'] as const) {
    if (!isRefused[name]) continue
    unsupported(name, `While it thinks, this model does not take such a ${name}.`)
    kept[name] = null
  }
  return kept
}

interface Sampling extends JsonObject {
  readonly temperature: number | null
  readonly top_p: number | null
  readonly top_k: number | null
}

const NOT_SAMPLED = 'This model takes neither temperature nor top_p nor top_k.'
