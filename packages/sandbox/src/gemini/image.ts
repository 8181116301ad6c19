import type { JsonObject } from '../json.ts'
import { onePixelPng } from '../png.ts'
import { seedOf } from '../random.ts'

/** Of one image of up to 1K, whatever it shows: https://ai.google.dev/gemini-api/docs/pricing */
export const imageTokens = 1120

/** https://ai.google.dev/gemini-api/docs/image-generation: every picture is one pixel, and always the same of the same prompt. */
export function imagePart(prompt: string): JsonObject {
  return { inlineData: { mimeType: 'image/png', data: pixelOf(prompt) } }
}

export function pixelOf(prompt: string): string {
  const colour = (seedOf(prompt) & 0xffffff).toString(16).padStart(6, '0')
  return onePixelPng(colour).toString('base64')
}
