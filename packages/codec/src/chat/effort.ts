import type { Effort, ReasoningWish } from './request.ts'

/**
 * A wish as an effort, for who knows no budgets: of the three efforts that all of them have, the one whose budget at Anthropic (2,048, 8,192 and 16,384 tokens) comes nearest. Null where
 * the model is to think as it always does.
 */
export function effortOf({ effort, budget }: ReasoningWish): Effort | null {
  if (effort !== null || budget === null) return effort
  if (budget === 0) return 'none'
  return budget < 4_096 ? 'low' : budget < 12_288 ? 'medium' : 'high'
}
