import { ApiError } from '@nemo/domain/errors'
import { expect, test } from 'vitest'
import type { JsonObject } from '../chat/request.ts'
import type { Target } from '../dialect.ts'
import { decodeError, decodeImages, encodeImages, placeToAskAgain, readBilled } from './bfl.ts'

function encode(body: JsonObject, model = 'flux-2-pro') {
  const unsupported = (param: string, why: string) => {
    throw new ApiError(400, 'unsupported_parameter', why, { param })
  }
  return encodeImages(body, { model, unsupported } as unknown as Target)
}

test('a request is told as Black Forest Labs has it, and what nobody here knows rides along', () => {
  const body = { model: 'x', prompt: 'a river', n: 1, size: '1536x1024', output_format: 'png', user: 'u', seed: 7 }
  expect(encode({ ...body, response_format: 'url' })).toEqual({
    path: '/flux-2-pro',
    body: { prompt: 'a river', width: 1536, height: 1024, output_format: 'png', seed: 7 },
  })
})

test.each([
  ['flux-kontext-pro', '1536x1024', { aspect_ratio: '3:2' }],
  ['flux-pro-1.1-ultra', '1024x1024', { aspect_ratio: '1:1' }],
  ['flux-pro-1.1', '1024x768', { width: 1024, height: 768 }],
  ['flux-pro-1.1', 'auto', {}],
])('%s is told of %s in its own way', (model, size, shape) => {
  expect(encode({ prompt: 'x', size }, model).body).toEqual({ prompt: 'x', ...shape })
})

test.each<[string, JsonObject]>([
  ['n', { n: 2 }],
  ['size', { size: 'large' }],
  ['response_format', { response_format: 'b64_json' }],
  ['output_format', { output_format: 'webp' }],
  ['quality', { quality: 'high' }],
  ['webhook_url', { webhook_url: 'https://elsewhere.example' }],
  ['prompt', { prompt: 7 }],
])('what it can’t do is refused by its name: %s', (param, body) => {
  expect(() => encode({ prompt: 'x', ...body })).toThrow(expect.objectContaining({ param }))
})

test('a model’s name leads nowhere else', () => {
  expect(encode({ prompt: 'x' }, '../get_result?id=1').path).toBe('/..%2Fget_result%3Fid%3D1')
})

const at = (polling_url: string, asked = 'https://api.bfl.ai/v1/flux-2-pro') =>
  placeToAskAgain({ id: '1', polling_url }, new URL(asked))

test.each([
  ['https://api.bfl.ai/v1/get_result?id=1', 'https://api.bfl.ai/v1/x'],
  ['https://api.eu2.bfl.ai/v1/get_result?id=1', 'https://api.bfl.ai/v1/x'],
  ['https://api.us1.bfl.ai/v1/get_result?id=1', 'https://api.us.bfl.ai/v1/x'],
  ['http://127.0.0.1:4010/bfl/v1/get_result?id=1', 'http://127.0.0.1:4010/bfl/v1/x'],
])('the picture may be asked for at %s', (place, asked) => {
  expect(at(place, asked)?.href).toBe(place)
})

test.each([
  ['another host', 'https://evil.example/v1/get_result?id=1', undefined],
  ['a host that ends alike', 'https://api.bfl.ai.evil.example/get_result', undefined],
  ['a host that begins alike', 'https://evilapi.bfl.ai/get_result', undefined],
  ['a domain within another', 'https://api.eu.evil.bfl.ai/get_result', undefined],
  ['the machine’s own network', 'http://169.254.169.254/latest/meta-data', undefined],
  ['no encryption', 'http://api.eu.bfl.ai/get_result', undefined],
  ['another port', 'https://api.eu.bfl.ai:8443/get_result', undefined],
  ['a user', 'https://api.bfl.ai@evil.example/get_result', undefined],
  ['a password of the same host', 'https://a:b@api.bfl.ai/get_result', undefined],
  ['a file', 'file:///etc/passwd', undefined],
  ['no URL', 'get_result', undefined],
  ['the maker’s, from the operator’s own proxy', 'https://api.eu.bfl.ai/get_result', 'https://proxy.example/v1/x'],
  ['another port of this machine', 'http://127.0.0.1:22/', 'http://127.0.0.1:4010/bfl/v1/x'],
])('our key isn’t sent to %s', (_, place, asked) => {
  expect(() => at(place, asked)).toThrow(SyntaxError)
})

test('while it is pending it is asked for where it was, and when it is there no more', () => {
  const asked = new URL('https://api.bfl.ai/v1/get_result?id=1')
  const ready = { status: 'Ready', result: { sample: 'https://delivery.eu2.bfl.ai/x.png' }, polling_url: 'https://x' }
  expect(placeToAskAgain({ status: 'Pending', result: null }, asked)).toBeNull()
  expect(placeToAskAgain(ready, asked)).toBeUndefined()
  expect(decodeImages(ready)).toEqual([{ url: 'https://delivery.eu2.bfl.ai/x.png' }])
})

test('credits are cents', () => {
  expect(readBilled({ cost: 4 })).toBe(40_000_000n)
  expect(readBilled({ cost: 1.4 })).toBe(14_000_000n)
  expect([{}, { cost: null }, { cost: -1 }, { cost: 'much' }].map(readBilled)).toEqual([null, null, null, null])
})

test.each([
  [{ detail: 'Not authenticated' }, 'Not authenticated', null],
  [
    { detail: [{ loc: ['body', 'width'], msg: 'too small', type: 'greater_than_equal' }] },
    'too small',
    'greater_than_equal',
  ],
  [{ id: '1', status: 'Content Moderated' }, 'Content Moderated', 'content_policy_violation'],
  [{ id: '1', status: 'Request Moderated' }, 'Request Moderated', 'content_policy_violation'],
  [{ id: '1', status: 'Error' }, 'Error', null],
])('an error is told in its words: %j', (answer, message, code) => {
  expect(decodeError(answer)).toEqual({ message, param: null, code })
  expect(() => decodeImages(answer)).toThrow(message)
})

test('an answer that is on its way or there is no error', () => {
  const answers = [{ status: 'Pending' }, { status: 'Ready' }, { id: '1', polling_url: 'x' }, null, 'x']
  expect(answers.map(decodeError)).toEqual([null, null, null, null, null])
})
