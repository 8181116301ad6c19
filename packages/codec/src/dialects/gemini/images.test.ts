import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../chat/request.ts'
import { decodeImages, encodeImages } from './images.ts'

const refused: string[] = []
const strict = (param: string, why: string): never => {
  throw new ApiError(400, 'unsupported_parameter', why, { param })
}
const gemini = { model: 'gemini-3.1-flash-image', hosting: 'native', unsupported: strict } as const
const imagen = { model: 'imagen-4.0-generate-001', hosting: 'vertex', unsupported: strict } as const
const prompt = 'A river.'
const PNG = 'iVBORw0KGgo='

describe('a request', () => {
  test('to a Gemini model is content that is to be an image', () => {
    expect(encodeImages({ model: 'm', prompt, n: 1, quality: 'auto', user: 'u' }, gemini)).toEqual({
      path: '/models/gemini-3.1-flash-image:generateContent',
      body: {
        contents: [{ role: 'user', parts: [{ text: prompt }] }],
        generationConfig: { responseModalities: ['IMAGE'] },
      },
    })
  })

  test.each([
    ['1024x1024', { aspectRatio: '1:1' }],
    ['1536x1024', { aspectRatio: '3:2' }],
    ['1024x1536', { aspectRatio: '2:3' }],
    ['2048x2048', { aspectRatio: '1:1', imageSize: '2K' }],
    ['3840x2160', { aspectRatio: '16:9', imageSize: '4K' }],
  ])('of %s has the ratio of its sides', (size, imageConfig) => {
    expect(encodeImages({ prompt, size }, gemini).body.generationConfig).toMatchObject({ imageConfig })
  })

  test('passes on what it doesn’t know, and what it says itself stands', () => {
    const body = {
      prompt,
      size: '1024x1024',
      safetySettings: [],
      generationConfig: { responseModalities: ['TEXT', 'IMAGE'], imageConfig: { personGeneration: 'ALLOW_NONE' } },
    }
    expect(encodeImages(body, gemini).body).toMatchObject({
      safetySettings: [],
      generationConfig: {
        responseModalities: ['TEXT', 'IMAGE'],
        imageConfig: { personGeneration: 'ALLOW_NONE', aspectRatio: '1:1' },
      },
    })
  })

  test('to Imagen is a prompt to be predicted', () => {
    const body = { prompt, n: 2, size: '2048x2048', output_format: 'jpeg', output_compression: 80, seed: 7 }
    expect(encodeImages(body, imagen)).toEqual({
      path: '/publishers/google/models/imagen-4.0-generate-001:predict',
      body: {
        instances: [{ prompt }],
        parameters: {
          seed: 7,
          sampleCount: 2,
          aspectRatio: '1:1',
          sampleImageSize: '2K',
          outputOptions: { mimeType: 'image/jpeg', compressionQuality: 80 },
        },
      },
    })
    expect(encodeImages({ prompt }, imagen).body).toEqual({ instances: [{ prompt }], parameters: { sampleCount: 1 } })
  })

  test('for JPEG is written as Vertex AI has it', () => {
    const { body } = encodeImages({ prompt, output_format: 'jpeg' }, { ...gemini, hosting: 'vertex' })
    expect(body.generationConfig).toMatchObject({ imageConfig: { imageOutputOptions: { mimeType: 'image/jpeg' } } })
  })

  const unsayable: [string, JsonObject][] = [
    ['n', { n: 2 }],
    ['size', { size: '1792x1024' }],
    ['quality', { quality: 'high' }],
    ['background', { background: 'transparent' }],
    ['moderation', { moderation: 'low' }],
    ['response_format', { response_format: 'url' }],
    ['style', { style: 'vivid' }],
    ['stream', { stream: true }],
    ['output_format', { output_format: 'webp' }],
    ['output_compression', { output_compression: 50 }],
  ]

  test.each(unsayable)('that can’t be said is refused by name: %s', (param, body) => {
    expect(() => encodeImages({ prompt, ...body }, gemini)).toThrow(expect.objectContaining({ status: 400, param }))
  })

  test.each(unsayable)('is sent without what can’t be said where that is let pass: %s', (param, body) => {
    refused.length = 0
    const lenient = { ...gemini, unsupported: (name: string) => void refused.push(name) }
    expect(encodeImages({ prompt, ...body }, lenient)).toEqual(encodeImages({ prompt }, gemini))
    expect(refused).toEqual([param])
  })

  test.each([
    ['prompt', {}],
    ['n', { prompt, n: 0 }],
    ['size', { prompt, size: 'large' }],
  ])('that is malformed is refused by name: %s', (param, body) => {
    expect(() => encodeImages(body, gemini)).toThrow(expect.objectContaining({ status: 400, param }))
  })
})

describe('an answer', () => {
  const image = { inlineData: { mimeType: 'image/png', data: PNG } }
  const usageMetadata = {
    promptTokenCount: 4,
    candidatesTokenCount: 1120,
    thoughtsTokenCount: 30,
    candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: 1120 }],
  }

  test('of a Gemini model is its images, without those that it only thought of', () => {
    const parts = [{ ...image, thought: true }, { text: 'Here.' }, image]
    const answer = { candidates: [{ content: { parts }, finishReason: 'STOP' }], usageMetadata }
    expect(decodeImages(answer, 7)).toEqual({
      json: {
        created: 7,
        data: [{ b64_json: PNG }],
        output_format: 'png',
        usage: {
          ...{ input_tokens: 4, output_tokens: 1150, total_tokens: 1154 },
          input_tokens_details: { text_tokens: 4, image_tokens: 0 },
        },
      },
      usage: { input: 4, imageOutput: 1120, reasoning: 30 },
      refusal: null,
    })
  })

  test.each<[string, JsonObject]>([
    ['PROHIBITED_CONTENT', { promptFeedback: { blockReason: 'PROHIBITED_CONTENT' } }],
    ['IMAGE_SAFETY', { candidates: [{ finishReason: 'IMAGE_SAFETY' }] }],
    ['Unable to show it.', { candidates: [{ finishReason: 'IMAGE_SAFETY', finishMessage: 'Unable to show it.' }] }],
    ['I can’t.', { candidates: [{ content: { parts: [{ text: 'I can’t.' }] }, finishReason: 'STOP' }] }],
  ])('without an image says why, and what it cost: %s', (refusal, answer) => {
    expect(decodeImages({ ...answer, usageMetadata: { promptTokenCount: 4 } }, 7)).toEqual({
      json: expect.objectContaining({ data: [] }),
      usage: { input: 4 },
      refusal,
    })
  })

  test('of Imagen counts its images, and says which were held back', () => {
    const shown = { bytesBase64Encoded: PNG, mimeType: 'image/jpeg' }
    expect(decodeImages({ predictions: [shown, shown] }, 7)).toEqual({
      json: { created: 7, data: [{ b64_json: PNG }, { b64_json: PNG }], output_format: 'jpeg' },
      usage: { image: 2 },
      refusal: null,
    })
    const held = { raiFilteredReason: 'Filtered.' }
    expect(decodeImages({ predictions: [shown, held] }, 7)).toMatchObject({ usage: { image: 1 }, refusal: 'Filtered.' })
    expect(decodeImages({ predictions: [held] }, 7)).toMatchObject({ usage: null, refusal: 'Filtered.' })
    expect(decodeImages({}, 7)).toMatchObject({ json: { data: [] }, usage: null, refusal: 'all images were filtered' })
  })

  test('that is an error is none', () => {
    expect(() => decodeImages({ error: { code: 400, message: 'No.' } }, 7)).toThrow(SyntaxError)
  })
})
