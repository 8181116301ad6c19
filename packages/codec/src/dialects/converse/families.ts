/** Whose model it is, where makers differ in what they take beside Converse's own fields. */
export type Family = 'claude' | 'nova' | 'cohere' | 'other'

/**
 * Reads `anthropic.claude-opus-4-6-v1`, `us.amazon.nova-2-lite-v1:0` and the like. The ARN of an inference profile of somebody's own doesn't say: it is
 * taken for another's.
 */
export function familyOf(model: string): Family {
  if (/\bclaude\b/.test(model)) return 'claude'
  if (/\bnova\b/.test(model)) return 'nova'
  return /\bcohere\.command/.test(model) ? 'cohere' : 'other'
}
