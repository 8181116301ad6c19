import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../chat/request.ts'
import type { Target } from '../dialect.ts'
import { writeForm } from './form.ts'
import { decodeError, decodeImages, encodeImages } from './stability.ts'

function encode(body: JsonObject, model = 'sd3.5-large') {
  const unsupported = (param: string, why: string) => {
    throw new ApiError(400, 'unsupported_parameter', why, { param })
  }
  return encodeImages({ prompt: 'a river', ...body }, { model, unsupported } as unknown as Target)
}

test.each([
  ['stable-image-core', 'core', {}],
  ['stable-image-ultra', 'ultra', {}],
  ['sd3.5-large', 'sd3', { model: 'sd3.5-large' }],
  ['sd3.5-flash', 'sd3', { model: 'sd3.5-flash' }],
])('%s is asked for as a form, and what nobody here knows rides along', (model, service, named) => {
  const asked = { n: 1, size: '1536x1024', response_format: 'b64_json', user: 'u', seed: 7, output_format: 'webp' }
  expect(encode(asked, model)).toEqual({
    path: `/v2beta/stable-image/generate/${service}`,
    headers: { accept: 'application/json' },
    isForm: true,
    body: { prompt: 'a river', ...named, aspect_ratio: '3:2', seed: 7, output_format: 'webp' },
  })
})

test('an engine of version 1 is asked in JSON, and its name leads nowhere else', () => {
  expect(encode({ n: 2, size: '1024x1024', cfg_scale: 7 }, 'stable-diffusion-xl-1024-v1-0')).toEqual({
    path: '/v1/generation/stable-diffusion-xl-1024-v1-0/text-to-image',
    headers: { accept: 'application/json' },
    isForm: false,
    body: { text_prompts: [{ text: 'a river' }], samples: 2, width: 1024, height: 1024, cfg_scale: 7 },
  })
  expect(encode({}, 'stable-image-core/../x').path).toBe('/v1/generation/stable-image-core%2F..%2Fx/text-to-image')
})

test.each<[string, JsonObject, string?]>([
  ['n', { n: 2 }],
  ['size', { size: '1792x1024' }],
  ['size', { size: 'large' }],
  ['response_format', { response_format: 'url' }],
  ['quality', { quality: 'high' }],
  ['prompt', { prompt: 7 }],
  ['output_format', { output_format: 'png' }, 'stable-diffusion-xl-1024-v1-0'],
])('what it can’t do is refused by its name: %s', (param, body, model) => {
  expect(() => encode(body, model)).toThrow(expect.objectContaining({ param }))
})

test('an answer of either version is a picture in base64', () => {
  expect(decodeImages({ image: 'AA==', finish_reason: 'SUCCESS', seed: 1 })).toEqual([{ b64_json: 'AA==' }])
  const artifacts = [
    { base64: 'AA==', finishReason: 'SUCCESS' },
    { base64: '', finishReason: 'ERROR' },
  ]
  expect(decodeImages({ artifacts })).toEqual([{ b64_json: 'AA==' }])
  expect(() => decodeImages({ errors: ['a', 'b'], name: 'x' })).toThrow('a b')
})

test('what went wrong is told, in either version', () => {
  const name = 'content_moderation'
  expect(decodeError({ id: '1', name, errors: ['It was flagged.', 'Really.'] })).toEqual({
    ...{ message: 'It was flagged. Really.', param: null, code: name },
  })
  expect(decodeError({ id: '1', name: 'bad_request', message: 'No.' })?.message).toBe('No.')
  expect(decodeError({ image: 'AA==' })).toBeNull()
})

describe('a form', () => {
  const read = async (fields: JsonObject) => {
    const headers = { 'content-type': 'multipart/form-data; boundary=nemo-1' }
    return Object.fromEntries(await new Response(new Uint8Array(writeForm(fields, 'nemo-1')), { headers }).formData())
  }

  test('is read as it was meant, whatever stands in it', async () => {
    const fields = { prompt: 'ein Fluß — "river"\r\n--nemo\r\n川', seed: 7, clip: true, 'a"\r\nb: c': 'x' }
    expect(await read(fields)).toEqual({ ...fields, seed: '7', clip: 'true' })
    expect(await read({})).toEqual({})
  })

  test('has room for words and numbers alone', () => {
    for (const value of [{}, [1], null])
      expect(() => writeForm({ image: value }, 'x')).toThrow(expect.objectContaining({ param: 'image' }))
  })
})
