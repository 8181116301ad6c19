import type { ChatRequest } from './request.ts'

/** What bears on an answer's cost, and not on the answer: where a provider has nothing like it the request goes there all the same, and the caller is told. */
export type Hint = 'cache_control' | 'prompt_cache_key'

/** The hints that a request has. */
export function hintsOf({ messages, tools, promptCacheKey }: ChatRequest): Hint[] {
  const places = [...tools, ...messages.flatMap((message) => [message, ...message.content])]
  return [
    ...(places.some((place) => 'cache' in place && place.cache !== null) ? (['cache_control'] as const) : []),
    ...(promptCacheKey === null ? [] : (['prompt_cache_key'] as const)),
  ]
}
