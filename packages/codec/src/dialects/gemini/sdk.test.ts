import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  BlockedReason,
  FinishReason,
  FunctionCallingConfigMode,
  type GenerateContentParameters,
  GoogleGenAI,
  ServiceTier,
  ThinkingLevel,
} from '@google/genai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { JsonObject } from '../../chat/request.ts'
import { finishOf } from './finish.ts'

const { fixture, named } = goldensOf('gemini')
const BODIES = named('.request.json').map((name) => [name, JSON.parse(fixture(name)) as Golden] as const)

type Golden = { path: string; body: JsonObject & { contents: object[]; generationConfig?: object } }

/** What the SDK sent last. */
let sent: unknown
const server = createServer((request, response) => {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    sent = JSON.parse(Buffer.concat(pieces).toString())
    response.setHeader('content-type', 'application/json').end('{}')
  })
})
let native: GoogleGenAI
let vertex: GoogleGenAI

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  native = new GoogleGenAI({ apiKey: 'any', httpOptions: { baseUrl } })
  vertex = new GoogleGenAI({
    vertexai: true,
    project: 'p',
    location: 'l',
    httpOptions: { baseUrl, headers: { authorization: 'Bearer any' } },
    googleAuthOptions: { authClient: { getRequestHeaders: async () => new Headers() } as never },
  })
})
afterAll(() => server.close())

/** It leaves out what it doesn't know. */
test.each(BODIES)('Google’s own client would send the same: %s', async (_, { path, body }) => {
  const { contents, generationConfig, ...config } = body
  const params = { model: 'm', contents, config: { ...config, ...generationConfig } } as GenerateContentParameters
  const client = path.startsWith('/publishers') ? vertex : native
  await client.models.generateContent(params)
  // It always sends a config.
  expect(sent).toEqual({ generationConfig: {}, ...body })
})

test('what is written in words is in words that Google has', () => {
  const told = (name: string) =>
    BODIES.flatMap(([, { body }]) => [...JSON.stringify(body).matchAll(new RegExp(`"${name}":"([^"]*)"`, 'g'))])
      .map(([, word]) => word)
      .filter((word, i, all) => all.indexOf(word) === i)
  for (const [name, known] of [
    ['mode', FunctionCallingConfigMode],
    ['thinkingLevel', ThinkingLevel],
    ['serviceTier', ServiceTier],
  ] as const) {
    expect(told(name).length).toBeGreaterThan(0)
    expect(Object.values(known)).toEqual(expect.arrayContaining(told(name)))
  }
})

test('every reason that Google has to end an answer is one of ours, and what was held back isn’t an end like any other', () => {
  const ends = (finish: string) => Object.values(FinishReason).filter((reason) => finishOf(reason, false) === finish)
  expect(ends('length')).toEqual(['MAX_TOKENS', 'CONTINUATION'])
  // A prompt is blocked for what an answer is held back for; these two say nothing of what it was.
  const blocks = Object.values(BlockedReason).filter((reason) => reason in FinishReason && reason !== 'OTHER')
  expect(ends('content_filter')).toEqual(expect.arrayContaining(blocks))
  expect(ends('stop').sort()).toEqual([
    ...['FINISH_REASON_UNSPECIFIED', 'IMAGE_OTHER', 'MALFORMED_FUNCTION_CALL', 'NO_IMAGE', 'OTHER', 'STOP'],
    ...['TOO_MANY_TOOL_CALLS', 'UNEXPECTED_TOOL_CALL'],
  ])
})
