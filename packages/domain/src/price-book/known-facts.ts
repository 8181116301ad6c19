import type { Model } from '../catalogue.ts'

/** What is known of a model beside its price. What is absent isn't known. */
export interface ModelFacts {
  readonly deprecatesOn?: string
  readonly requestsPerMinute?: number
  readonly tokensPerMinute?: number
  readonly outputTokensMax?: number
  /** Tags that it has for certain; the absence of one says nothing. */
  readonly capabilities?: readonly string[]
}

/**
 * From which day on makers serve a model no more, where they have announced it, by provider: the first rule that a name fits holds. From https://platform.openai.com/docs/deprecations,
 * https://platform.claude.com/docs/en/about-claude/model-deprecations and https://ai.google.dev/gemini-api/docs/deprecations, read 2026-11. Dates of the kind "not before" aren't here.
 */
const DEPRECATIONS: Readonly<Record<string, readonly (readonly [RegExp, string])[]>> = {
  openai: [
    [/^dall-e-/, '2026-05-12'],
    [
      /^(?:gpt-3\.5|gpt-4(?:-turbo|-\d{4}|$)|gpt-4\.1-nano|gpt-4o-2024-05-13|o1|o3-mini|o4-mini|gpt-image-1$)/,
      '2026-10-23',
    ],
    [/^(?:gpt-image-1-mini|gpt-image-1\.5|chatgpt-image-latest)/, '2026-12-01'],
    [/^(?:gpt-5|gpt-5-mini|gpt-5-nano|gpt-5-pro|o3|o3-pro)(?:-\d{4}-\d{2}-\d{2})?$/, '2026-12-11'],
    [/^(?:gpt-4o|gpt-4o-mini|gpt-4\.1|gpt-4\.1-mini)(?:-\d{4}-\d{2}-\d{2})?$/, '2027-01-14'],
    [/^(?:gpt-5\.1|gpt-5\.3-codex|gpt-5\.4-nano)(?:-\d{4}-\d{2}-\d{2})?$/, '2027-04-01'],
  ],
  anthropic: [
    [/^claude-3-(?:7-sonnet|5-haiku)/, '2026-02-19'],
    [/^claude-(?:opus|sonnet)-4(?:-0|-20250514)?$/, '2026-06-15'],
    [/^claude-opus-4-1(?:-20250805)?$/, '2026-08-05'],
  ],
  gemini: [
    [/^gemini-3-pro-preview/, '2026-03-09'],
    [/^gemini-3(?:\.1-flash|-pro)-image-preview/, '2026-06-25'],
    [/^imagen-4\.0/, '2026-08-17'],
    [/^gemini-2\.5-(?:pro|flash)$/, '2026-12-01'],
    [/^gemini-3\.1-flash-lite$/, '2027-05-07'],
  ],
}

/** The model with what is known of its end. */
export function withKnownFacts<M extends Model & { readonly upstreamModel: string }>(model: M): M {
  const date = DEPRECATIONS[model.provider]?.find(([name]) => name.test(model.upstreamModel))?.[1]
  return date === undefined ? model : { ...model, deprecatesOn: date }
}

/** The day on which those pages were read. */
const READ_ON = '2026-11-21'

/** Whether the provider still served the model when our lists were made: one that was gone by then has a price, and is deployed only by name. */
export function wasServed({ deprecatesOn = null }: Model): boolean {
  return deprecatesOn === null || deprecatesOn > READ_ON
}
