import type { SandboxConfig } from '../settings.ts'
import { promptTokens } from '../tokens.ts'
import type { ChatRequest } from './chat-request.ts'
import { type Choice, choiceTokens, reasoningTokens } from './choices.ts'

/**
 * https://platform.openai.com/docs/api-reference/chat/object: prompt tokens include the cached ones, completion tokens
 * the reasoning ones. A `usage` setting is reported as given, however absurd; undefined means that it is missing.
 */
export function chatUsage(request: ChatRequest, choices: Choice[], settings: SandboxConfig): object | undefined {
  if (settings.usage === 'missing') return undefined
  const given = settings.usage ?? {}
  const prompt_tokens = given.prompt_tokens ?? promptTokens(request)
  const reasoning = reasoningTokens(request, settings)
  const completion_tokens =
    given.completion_tokens ?? choices.reduce((sum, choice) => sum + choiceTokens(choice) + reasoning, 0)
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: {
      cached_tokens: given.cached_tokens ?? Math.min(settings.cached_tokens, prompt_tokens),
      audio_tokens: 0,
    },
    completion_tokens_details: {
      reasoning_tokens: given.reasoning_tokens ?? reasoning * choices.length,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}
