/**
 * What one picture comes to at most, by the model's name. GPT-4o mini: 2,833 and 5,667 for each of eight tiles; GPT-5.4 and later 10,000 patches at 1.2 tokens; GPT-6 knows no such bound, and is refused
 * from about 30 megapixels on (https://platform.openai.com/docs/guides/images-vision, https://docs.apiyi.com/en/faq/vision-image-too-large). Claude from Opus 4.7 on: 4,784
 * (https://platform.claude.com/docs/en/build-with-claude/vision). Gemini at its highest resolution: 2,240 (https://ai.google.dev/gemini-api/docs/media-resolution). Qwen: 16,384
 * (https://www.alibabacloud.com/help/en/model-studio/vision).
 */
const MOST: readonly (readonly [RegExp, number])[] = [
  [/gpt-4o-mini/, 48_169],
  [/gpt-5\.[4-9]/, 12_000],
  [/gpt-[6-9]/, 36_000],
  [/claude/, 4_784],
  [/gemini/, 2_240],
  [/qwen|qvq/i, 16_384],
]

/** Mistral's, Llama's, and OpenAI's other models: some four thousand tokens, of a row of patches each. */
const MOST_OF_OTHERS = 4_200

export function pictureTokensMost(model: string): number {
  return MOST.find(([name]) => name.test(model))?.[1] ?? MOST_OF_OTHERS
}
