/**
 * What a provider bills for, in disjoint classes: cached input isn't counted in `input`, reasoning isn't counted in `output`.
 * Dialects differ on what includes what, so each codec maps its provider's numbers to these. `cacheWrite` was written to a prompt cache for five
 * minutes or so, `cacheWriteHour` for an hour; `searchPreview` is OpenAI's older search of the web. Units: tokens, images, seconds, searches, requests.
 */
export const USAGE_CLASSES = [
  'input',
  'cachedInput',
  'cacheWrite',
  'cacheWriteHour',
  'audioInput',
  'cachedAudioInput',
  'imageInput',
  'cachedImageInput',
  'output',
  'reasoning',
  'audioOutput',
  'imageOutput',
  'image',
  'second',
  'search',
  'searchPreview',
  'fileSearch',
  'request',
] as const

export type UsageClass = (typeof USAGE_CLASSES)[number]

/** Counts by class; an absent class is zero. Every count is a non-negative integer. */
export type Usage = { readonly [C in UsageClass]?: number }

export function inputTokens(usage: Usage): number {
  return (
    (usage.input ?? 0) +
    (usage.cachedInput ?? 0) +
    (usage.cacheWrite ?? 0) +
    (usage.cacheWriteHour ?? 0) +
    (usage.audioInput ?? 0) +
    (usage.cachedAudioInput ?? 0) +
    (usage.imageInput ?? 0) +
    (usage.cachedImageInput ?? 0)
  )
}

export function outputTokens(usage: Usage): number {
  return (usage.output ?? 0) + (usage.reasoning ?? 0) + (usage.audioOutput ?? 0) + (usage.imageOutput ?? 0)
}

/** What a token limit counts: everything that went in and came out. */
export function totalTokens(usage: Usage): number {
  return inputTokens(usage) + outputTokens(usage)
}
