import type { Effort, JsonObject, ReasoningWish } from '../../chat/request.ts'
import type { ClaudeModel } from './models.ts'

/** How a request is to think, and how long its answer may get with it. */
export interface Thinking {
  readonly thinking: JsonObject | null
  readonly effort: string | null
  readonly maxTokens: number
}

/** The API's own least (https://platform.claude.com/docs/en/build-with-claude/extended-thinking). */
const BUDGET_MIN = 1024

/** What is left for the answer itself, where nobody says how long it may get. */
const ANSWER_TOKENS = 4096

/** Efforts as budgets, for models that only know budgets. */
const BUDGETS: Readonly<Record<Exclude<Effort, 'none'>, number>> = {
  minimal: 1024,
  low: 2048,
  medium: 8192,
  high: 16_384,
  xhigh: 32_768,
}

type Unsupported = (param: string, why: string) => void

/**
 * `thinking`, `output_config.effort` and `max_tokens`, which must be above any budget (https://platform.claude.com/docs/en/build-with-claude/thinking). A budget that the
 * caller names is taken at its word or refused; one that we make of an effort is fitted below the cap.
 */
export function planThinking(
  wish: ReasoningWish | null,
  model: ClaudeModel,
  cap: { readonly asked: number | null; readonly model: number | null },
  unsupported: Unsupported,
): Thinking {
  const maxTokens = cap.asked ?? cap.model ?? ANSWER_TOKENS
  const silent: Thinking = { thinking: null, effort: null, maxTokens }
  if (wish === null) return silent
  const { effort, budget, summary } = wish
  if (effort === 'none' || budget === 0) return { ...silent, thinking: writeNone(model, unsupported) }
  const display = summary === null ? {} : { display: 'summarized' }
  if (effort === null && budget === null) {
    return takesAdaptive(model) ? { ...silent, thinking: { type: 'adaptive', ...display } } : silent
  }
  if (model.thinking === 'none') {
    unsupported(budget === null ? 'reasoning_effort' : 'thinking.budget_tokens', 'This model does not think aloud.')
    return silent
  }
  const written = takesAdaptive(model) && effort !== null ? writeEffort(effort, model, unsupported) : null
  if (budget === null && takesAdaptive(model)) {
    return { thinking: { type: 'adaptive', ...display }, effort: written, maxTokens }
  }
  if (budget !== null && model.thinking === 'adaptive') {
    unsupported('thinking.budget_tokens', 'This model decides itself how long it thinks: set reasoning_effort instead.')
    return { thinking: { type: 'adaptive', ...display }, effort: written, maxTokens }
  }
  const fitted = fitBudget(effort, budget, maxTokens, cap, unsupported)
  if (fitted === null) return { ...silent, effort: written }
  return {
    thinking: { type: 'enabled', budget_tokens: fitted.budget, ...display },
    effort: written,
    maxTokens: fitted.maxTokens,
  }
}

/**
 * The wish, where it can be heeded: who has to call a tool can't think before (https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility). `isForced` says whether it has
 * to.
 */
export function heedWish(
  wish: ReasoningWish | null,
  model: ClaudeModel,
  isForced: boolean,
  unsupported: Unsupported,
): ReasoningWish | null {
  if (wish === null || !isForced || model.thinking === 'none' || wish.effort === 'none' || wish.budget === 0)
    return wish
  const param = wish.effort === null && wish.budget !== null ? 'thinking.budget_tokens' : 'reasoning_effort'
  unsupported(param, 'This model can’t think where it is made to call a tool.')
  return null
}

export function thinks(thinking: JsonObject | null): boolean {
  return thinking?.type === 'enabled' || thinking?.type === 'adaptive'
}

function takesAdaptive(model: ClaudeModel): boolean {
  return model.thinking !== 'manual' && model.thinking !== 'none'
}

function writeNone(model: ClaudeModel, unsupported: Unsupported): JsonObject | null {
  switch (model.withoutThinking) {
    case 'omitted':
      return null
    case null:
      unsupported('reasoning_effort', 'This model always thinks: ask for a low effort instead.')
      return null
    default:
      return { type: model.withoutThinking }
  }
}

/** There is nothing below `low`, so `minimal` is that; what is above `high` has another name by model. */
function writeEffort(effort: Effort, model: ClaudeModel, unsupported: Unsupported): string {
  if (effort === 'minimal') return 'low'
  if (effort !== 'xhigh') return effort
  if (model.topEffort !== null) return model.topEffort
  unsupported('reasoning_effort', 'This model has no effort above high.')
  return 'high'
}

function fitBudget(
  effort: Effort | null,
  budget: number | null,
  maxTokens: number,
  cap: { readonly asked: number | null; readonly model: number | null },
  unsupported: Unsupported,
): { budget: number; maxTokens: number } | null {
  if (budget !== null && budget < BUDGET_MIN) {
    unsupported('thinking.budget_tokens', `A thinking budget has at least ${BUDGET_MIN} tokens here.`)
    return null
  }
  const wanted = budget ?? BUDGETS[effort === null || effort === 'none' ? 'medium' : effort]
  if (cap.asked === null && wanted >= maxTokens) {
    const room = Math.min(wanted + ANSWER_TOKENS, cap.model ?? Number.POSITIVE_INFINITY)
    if (wanted < room) return { budget: wanted, maxTokens: room }
  }
  if (wanted < maxTokens) return { budget: wanted, maxTokens }
  if (budget !== null) {
    unsupported(
      'thinking.budget_tokens',
      `The thinking budget must be below the ${maxTokens} tokens that the answer may have.`,
    )
    return null
  }
  // A fifth is left for what is said in the end.
  const fitted = Math.floor(maxTokens * 0.8)
  if (fitted >= BUDGET_MIN) return { budget: fitted, maxTokens }
  unsupported(
    'reasoning_effort',
    `Thinking takes ${BUDGET_MIN} tokens at least, and the answer may have only ${maxTokens}.`,
  )
  return null
}
