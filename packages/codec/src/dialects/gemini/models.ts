/** The generation in a model's name, such as 2.5; the newest for a name that means the newest; null where the name tells none. */
export function generationOf(model: string): number | null {
  if (/gemini-[a-z-]*latest$/.test(model)) return Number.POSITIVE_INFINITY
  const found = /gemini-(\d+(?:\.\d+)?)(?![\d.])/.exec(model)?.[1]
  return found === undefined ? null : Number(found)
}

/**
 * Models from Gemini 3 on think by levels, take media in the results of functions, and refuse what they called themselves without its signature
 * (https://ai.google.dev/gemini-api/docs/gemini-3).
 */
export function isFromThree(model: string): boolean {
  return (generationOf(model) ?? 0) >= 3
}
