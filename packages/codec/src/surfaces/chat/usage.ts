import { inputTokens, outputTokens, type Usage } from '@nemo/domain/usage'
import type { JsonObject } from '../../chat/request.ts'

/** Usage as chat completions have it: the prompt includes what was cached, the completion what was thought (https://platform.openai.com/docs/api-reference/chat/object). */
export function writeUsage(usage: Usage): JsonObject {
  const [prompt, completion] = [inputTokens(usage), outputTokens(usage)]
  const written = (usage.cacheWrite ?? 0) + (usage.cacheWriteHour ?? 0)
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: {
      cached_tokens: (usage.cachedInput ?? 0) + (usage.cachedAudioInput ?? 0),
      audio_tokens: (usage.audioInput ?? 0) + (usage.cachedAudioInput ?? 0),
      ...(written > 0 && { cache_write_tokens: written }),
    },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning ?? 0,
      audio_tokens: usage.audioOutput ?? 0,
    },
  }
}
