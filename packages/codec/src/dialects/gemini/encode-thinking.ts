import type { Effort, JsonObject, ReasoningWish } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { generationOf, isFromThree } from './models.ts'

/** What Google's own OpenAI-compatible API makes of an effort (https://ai.google.dev/gemini-api/docs/openai#thinking). */
const BUDGETS: Readonly<Record<Exclude<Effort, 'none' | 'xhigh'>, number>> = {
  minimal: 1_024,
  low: 1_024,
  medium: 8_192,
  high: 24_576,
}

/**
 * `thinkingConfig`: models from Gemini 3 on take a level, those before it a budget, and those before 2.5 don't think
 * (https://ai.google.dev/gemini-api/docs/thinking). Null where the model is to do as it always does.
 */
export function encodeThinking(
  wish: ReasoningWish | null,
  { model, unsupported }: Pick<Target, 'model' | 'unsupported'>,
): JsonObject | null {
  if (wish === null) return null
  const { effort, budget } = wish
  const generation = generationOf(model)
  if (generation !== null && generation < 2.5) {
    if (effort !== 'none' && budget !== 0) unsupported('reasoning_effort', 'This model does not think aloud.')
    return null
  }
  if (effort === 'none' || budget === 0) return encodeNone(model, unsupported)
  // A budget is taken by models with levels too, and is what was asked for; both at once are refused.
  if (budget !== null) return { thinkingBudget: budget, includeThoughts: true }
  if (effort === null) return { includeThoughts: true }
  const known = effort === 'xhigh' ? 'high' : effort
  if (effort === 'xhigh') unsupported('reasoning_effort', 'Gemini has no effort above high.')
  return isFromThree(model)
    ? { thinkingLevel: known === 'minimal' ? leastLevel(model) : known.toUpperCase(), includeThoughts: true }
    : { thinkingBudget: BUDGETS[known], includeThoughts: true }
}

function encodeNone(model: string, unsupported: Target['unsupported']): JsonObject | null {
  if (isPro(model)) {
    unsupported('reasoning_effort', 'This model always thinks: ask for a low effort instead.')
    return null
  }
  // From Gemini 3 on the least level is what is nearest to none.
  return isFromThree(model)
    ? { thinkingLevel: leastLevel(model), includeThoughts: false }
    : { thinkingBudget: 0, includeThoughts: false }
}

function leastLevel(model: string): string {
  return isPro(model) ? 'LOW' : 'MINIMAL'
}

function isPro(model: string): boolean {
  return /gemini-(?:[\d.]+-)?pro\b/.test(model)
}
