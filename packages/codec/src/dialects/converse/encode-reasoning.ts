import { effortOf } from '../../chat/effort.ts'
import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { claudeModel } from '../anthropic/models.ts'
import { planThinking } from '../anthropic/thinking.ts'
import type { Family } from './families.ts'

/** How a request is to think, and how long its answer may get with it; null where the model decides. */
export interface Reasoning {
  readonly additional: JsonObject
  readonly effort: string | null
  readonly maxTokens: number | null
}

/**
 * What a model thinks with is its maker's: Claude's `thinking` and Converse's own `effort`
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html), Nova's `reasoningConfig`
 * (https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html), others' `reasoning_effort`.
 */
export function encodeReasoning(request: ChatRequest, family: Family, target: Target): Reasoning {
  const { reasoning, outputMax } = request
  const none: Reasoning = { additional: {}, effort: null, maxTokens: outputMax }
  if (reasoning === null) return none
  if (family === 'claude') return encodeThinking(request, target)
  const effort = effortOf(reasoning)
  if (effort === null) return none
  return { ...none, additional: family === 'nova' ? encodeNova(effort) : { reasoning_effort: effort } }
}

function encodeThinking({ reasoning, outputMax }: ChatRequest, target: Target): Reasoning {
  const cap = { asked: outputMax, model: target.outputTokensMax }
  const { thinking, effort, maxTokens } = planThinking(reasoning, claudeModel(target.model), cap, target.unsupported)
  // A cap is needed above a budget only: else Converse knows the model's own.
  const needed = thinking?.budget_tokens === undefined ? outputMax : maxTokens
  return { additional: thinking ? { thinking } : {}, effort, maxTokens: needed }
}

/** It knows three efforts, and none. */
function encodeNova(effort: string): JsonObject {
  if (effort === 'none') return { reasoningConfig: { type: 'disabled' } }
  const known = effort === 'minimal' ? 'low' : effort === 'xhigh' ? 'high' : effort
  return { reasoningConfig: { type: 'enabled', maxReasoningEffort: known } }
}
