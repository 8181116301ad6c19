import {
  ApiError,
  type GenerateContentParameters,
  type GenerateContentResponse,
  GoogleGenAI,
  type Part,
} from '@google/genai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../sandbox.ts'
import type { SandboxConfig } from '../settings.ts'

let sandbox: Sandbox
let client: GoogleGenAI

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new GoogleGenAI({ apiKey: 'any', httpOptions: { baseUrl: `${sandbox.origin}/gemini` } })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

type Params = Partial<GenerateContentParameters>

const user = { role: 'user', parts: [{ text: 'Say something about rivers.' }] }
const schema = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 7 } },
  required: ['city', 'days'],
}
const tools = [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: schema }] }]

const params = (more: Params = {}) => ({ model: 'sandbox-gemini', contents: [user], ...more })
const ask = (more: Params = {}) => client.models.generateContent(params(more))

/** What a client puts together from the chunks of a stream. */
async function stream(more: Params = {}) {
  const chunks: GenerateContentResponse[] = []
  for await (const chunk of await client.models.generateContentStream(params(more))) chunks.push(chunk)
  return whole(chunks)
}

function whole(chunks: GenerateContentResponse[]) {
  const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? [])
  const said = (thought: boolean) =>
    parts.map((part) => ((part.thought ?? false) === thought ? (part.text ?? '') : '')).join('')
  return {
    text: said(false),
    thoughts: said(true),
    calls: parts.map((part) => part.functionCall).filter((call) => call !== undefined),
    isSigned: parts.some((part) => part.thoughtSignature !== undefined),
    finishReason: chunks.at(-1)?.candidates?.[0]?.finishReason,
    blocked: chunks.at(-1)?.promptFeedback,
    usage: chunks.at(-1)?.usageMetadata,
    model: chunks.at(-1)?.modelVersion,
  }
}

test.each<[string, Params, Partial<SandboxConfig>]>([
  ['text', {}, {}],
  ['thoughts and text', { config: { thinkingConfig: { includeThoughts: true } } }, { reasoning_tokens: 12 }],
  ['parallel function calls', { config: { tools } }, { tool_calls: 3 }],
  ['signed function calls', { model: 'gemini-3-pro', config: { tools } }, {}],
  ['a text that its cap cuts off', { config: { maxOutputTokens: 5 } }, {}],
  ['multibyte text', {}, { unicode: true, chunk_bytes: 7, crlf: true }],
  ['a JSON answer', { config: { responseMimeType: 'application/json', responseJsonSchema: schema } }, {}],
  ['a blocked prompt', {}, { refusal: true }],
])('the official SDK reads the same from a stream as from a plain answer: %s', async (_, more, settings) => {
  sandbox.configure(settings)
  const plain = whole([await ask(more)])
  expect(await stream(more)).toEqual(plain)
  expect(plain.text.length + plain.calls.length > 0).toBe(settings.refusal !== true)
})

test('the answer counts thoughts apart, and what was cached as part of the prompt', async () => {
  sandbox.configure({ tokens: 7, reasoning_tokens: 5, cached_tokens: 4 })
  expect((await ask({ config: { systemInstruction: 'Be brief.' } })).usageMetadata).toMatchObject({
    promptTokenCount: Math.ceil((27 + 9) / 4) + 3 * 2 + 3,
    cachedContentTokenCount: 4,
    candidatesTokenCount: 7,
    thoughtsTokenCount: 5,
    totalTokenCount: 18 + 12,
  })
})

test('several candidates are told apart', async () => {
  const { candidates } = await ask({ config: { candidateCount: 2 } })
  expect(candidates?.map(({ index }) => index)).toEqual([0, 1])
  const seen = new Set<number | undefined>()
  for await (const chunk of await client.models.generateContentStream(params({ config: { candidateCount: 2 } }))) {
    for (const { index } of chunk.candidates ?? []) seen.add(index)
  }
  expect([...seen]).toEqual([0, 1])
})

const answered = (parts: Part[]) => ({
  role: 'user',
  parts: parts.flatMap(({ functionCall: call }) =>
    call ? [{ functionResponse: { id: call.id!, name: call.name!, response: { result: 'Rain.' } } }] : [],
  ),
})

test('a loop with functions runs to its end, if what was signed comes back as it was', async () => {
  const first = await ask({ model: 'gemini-3-pro', config: { tools } })
  const parts = first.candidates![0]!.content!.parts!
  const again = (sent: Part[]) =>
    ask({ model: 'gemini-3-pro', contents: [user, { role: 'model', parts: sent }, answered(sent)], config: { tools } })
  expect((await again(parts)).text?.split(' ').length).toBe(24)
  const unsigned = parts.map(({ thoughtSignature: _, ...part }) => part)
  await expect(again(unsigned)).rejects.toThrow(/missing a thought_signature/)
  await expect(again(parts.map((part) => ({ ...part, thoughtSignature: 'AAAA' })))).rejects.toThrow(/Corrupted thought/)
})

const call = { functionCall: { name: 'weather', args: {} } }
const result = (name: string) => ({ functionResponse: { name, response: { result: 'Rain.' } } })
const model = (...parts: Part[]) => ({ role: 'model', parts })

test.each<[string, Params, RegExp]>([
  [
    'an unknown field',
    { config: { httpOptions: { extraBody: { nemo_tags: [] } } } },
    /Unknown name "nemo_tags": Cannot find field/,
  ],
  [
    'an unknown field of the config',
    { config: { httpOptions: { extraBody: { generationConfig: { x: 1 } } } } },
    /Unknown name "x" at 'generation_config'/,
  ],
  ['two turns of one role', { contents: [user, user] }, /alternate between user and model/],
  ['a model’s turn at the end', { contents: [user, model({ text: 'Hi.' })] }, /end with a user role/],
  ['a call without a response', { contents: [user, model(call), user] }, /number of function response parts is equal/],
  [
    'a response of another name',
    { contents: [user, model(call), { role: 'user', parts: [result('x')] }] },
    /'x' matches a function call/,
  ],
  ['no parts', { contents: [{ role: 'user', parts: [] }] }, /parts must not be empty/],
  [
    'a level where there are budgets',
    { model: 'gemini-2.5-pro', config: { thinkingConfig: { thinkingLevel: 'LOW' as never } } },
    /Thinking level is not supported/,
  ],
  [
    'JSON Schema where OpenAPI’s is wanted',
    {
      config: {
        httpOptions: {
          extraBody: {
            tools: [{ functionDeclarations: [{ name: 'f', parameters: { additionalProperties: false } }] }],
          },
        },
      },
    },
    /Unknown name "additionalProperties" at 'tools\[0\].function_declarations\[0\].parameters'/,
  ],
])('is refused as Google refuses it: %s', async (_, more, message) => {
  const refusal = await ask(more).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(ApiError)
  expect((refusal as ApiError).status).toBe(400)
  const { error } = JSON.parse((refusal as ApiError).message)
  expect(error).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT', message: expect.stringMatching(message) })
})

test('failures look like Google’s, before a stream and amid it', async () => {
  sandbox.configure({ status: 429, retry_after: 2 })
  const before = await ask().catch((error: unknown) => error)
  expect((before as ApiError).status).toBe(429)
  expect(JSON.parse((before as ApiError).message).error).toMatchObject({
    status: 'RESOURCE_EXHAUSTED',
    details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '2s' }],
  })
  sandbox.reset()
  const read = async (settings: Partial<SandboxConfig>) => {
    sandbox.configure(settings)
    const url = `${sandbox.origin}/gemini/v1beta/models/sandbox-gemini:streamGenerateContent?alt=sse&key=any`
    const answer = await fetch(url, { method: 'POST', body: JSON.stringify({ contents: [user] }) })
    sandbox.reset()
    return (await answer.text())
      .trim()
      .split('\n\n')
      .map((event) => JSON.parse(event.slice('data: '.length)))
  }
  const failed = await read({ stream_error_after: 3 })
  expect(failed).toHaveLength(4)
  expect(failed[3]).toMatchObject({ error: { code: 503, status: 'UNAVAILABLE' } })
  const endless = await read({ no_done: true })
  expect(endless.at(-1).candidates[0].finishReason).toBeUndefined()
  sandbox.configure({ malformed: true })
  await expect(stream()).rejects.toThrow()
})

test('without `alt=sse` a stream is an array', async () => {
  const url = `${sandbox.origin}/gemini/v1beta/models/sandbox-gemini:streamGenerateContent`
  const headers = { 'x-goog-api-key': 'any' }
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ contents: [user] }) })
  expect(await answer.json()).toHaveLength(25)
})

test('who has no key, or none that is known, is told in Google’s way', async () => {
  const locked = await startSandbox({ apiKey: 'right' })
  const post = (path: string, headers: Record<string, string>) =>
    fetch(`${locked.origin}${path}`, { method: 'POST', headers, body: JSON.stringify({ contents: [user] }) })
  const path = '/gemini/v1beta/models/sandbox-gemini:generateContent'
  expect((await post(path, {})).status).toBe(403)
  expect((await post(path, { 'x-goog-api-key': 'wrong' })).status).toBe(400)
  expect((await post(path, { 'x-goog-api-key': 'right' })).status).toBe(200)
  expect((await post(`${path}?key=right`, {})).status).toBe(200)
  const vertex = '/vertex/v1/projects/p/locations/us-east1/publishers/google/models/gemini-2.5-pro:generateContent'
  expect((await post(vertex, {})).status).toBe(401)
  expect((await post(vertex, { authorization: 'Bearer ya29.any' })).status).toBe(200)
  const stray = await post(vertex.replace('gemini-2.5-pro', 'gpt-5'), { authorization: 'Bearer any' })
  expect(stray.status).toBe(404)
  expect(((await stray.json()) as { error: Error }).error.message).toContain(
    'Publisher Model `projects/p/locations/us-east1/',
  )
  await locked.close()
})

test('the official SDK speaks to it as to Vertex AI', async () => {
  const onVertex = new GoogleGenAI({
    vertexai: true,
    project: 'p',
    location: 'us-east1',
    httpOptions: { baseUrl: `${sandbox.origin}/vertex`, headers: { authorization: 'Bearer ya29.any' } },
    googleAuthOptions: { authClient: { getRequestHeaders: async () => new Headers() } as never },
  })
  const answer = await onVertex.models.generateContent({ model: 'gemini-2.5-pro', contents: [user] })
  expect(answer.text?.split(' ').length).toBe(24)
  expect(answer.createTime).toBe('2026-01-01T00:00:00.000Z')
})

test('contents are embedded, in a batch and for Vertex AI', async () => {
  const { embeddings } = await client.models.embedContent({
    model: 'gemini-embedding-001',
    contents: ['river', 'stone', 'river'],
    config: { outputDimensionality: 256 },
  })
  expect(embeddings?.map(({ values }) => values?.length)).toEqual([256, 256, 256])
  expect(embeddings![0]).toEqual(embeddings![2])
  expect(embeddings![0]).not.toEqual(embeddings![1])
  const path = '/vertex/v1/projects/p/locations/us-east1/publishers/google/models/gemini-embedding-001:predict'
  const answer = await fetch(`${sandbox.origin}${path}`, {
    method: 'POST',
    headers: { authorization: 'Bearer any' },
    body: JSON.stringify({ instances: [{ content: 'river' }], parameters: { outputDimensionality: 256 } }),
  })
  const { predictions } = (await answer.json()) as { predictions: { embeddings: unknown }[] }
  expect(predictions[0]?.embeddings).toEqual({
    values: embeddings![0]!.values,
    statistics: { truncated: false, token_count: 2 },
  })
})

test('a newer model on Vertex AI embeds one content, and counts it', async () => {
  const path = '/vertex/v1/projects/p/locations/us-east1/publishers/google/models/gemini-embedding-2:embedContent'
  const embed = async (body: object) => {
    const options = { method: 'POST', headers: { authorization: 'Bearer any' }, body: JSON.stringify(body) }
    return (await (await fetch(`${sandbox.origin}${path}`, options)).json()) as Record<string, unknown>
  }
  const content = { parts: [{ text: 'river' }] }
  const { embedding, usageMetadata } = await embed({ content, embedContentConfig: { outputDimensionality: 8 } })
  expect((embedding as { values: number[] }).values).toHaveLength(8)
  expect(usageMetadata).toEqual({ promptTokenCount: 2 })
  expect(await embed({ content, outputDimensionality: 8 })).toMatchObject({ error: { code: 400 } })
})

test('tokens are counted as they will be, of contents and of whole requests', async () => {
  const contents = [user]
  const { usageMetadata } = await ask()
  expect(await client.models.countTokens({ model: 'sandbox-gemini', contents })).toMatchObject({
    totalTokens: usageMetadata?.promptTokenCount,
  })
  const systemInstruction = { parts: [{ text: 'Be brief.' }] }
  const whole = await ask({ config: { systemInstruction, tools } })
  const url = `${sandbox.origin}/gemini/v1beta/models/sandbox-gemini:countTokens?key=any`
  const count = async (body: object) =>
    (await (await fetch(url, { method: 'POST', body: JSON.stringify(body) })).json()) as Record<string, unknown>
  const request = { model: 'models/sandbox-gemini', contents, systemInstruction, tools }
  expect(await count({ generateContentRequest: request })).toMatchObject({
    totalTokens: whole.usageMetadata?.promptTokenCount,
  })
  for (const wrong of [{ contents, systemInstruction }, { contents, generateContentRequest: request }, {}]) {
    expect(await count(wrong)).toMatchObject({ error: { code: 400 } })
  }
})

test('a picture is asked for as content, and counted as a picture', async () => {
  const config = { responseModalities: ['IMAGE'], imageConfig: { aspectRatio: '1:1' } }
  const { candidates, usageMetadata } = await ask({ model: 'gemini-3.1-flash-image', config })
  expect(candidates?.[0]).toMatchObject({
    finishReason: 'STOP',
    content: { parts: [{ inlineData: { mimeType: 'image/png', data: expect.stringMatching(/^iVBORw0KGgo/) } }] },
  })
  expect(usageMetadata).toMatchObject({
    candidatesTokenCount: 1120,
    candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: 1120 }],
  })
  sandbox.configure({ refusal: true })
  expect((await ask({ model: 'gemini-3.1-flash-image', config })).promptFeedback?.blockReason).toBe(
    'PROHIBITED_CONTENT',
  )
})

test('the tier that served is told, and one that isn’t there is refused', async () => {
  const tierOf = async (serviceTier?: string) => {
    const { usageMetadata } = await ask({ config: { ...(serviceTier && { serviceTier: serviceTier as never }) } })
    return (usageMetadata as { serviceTier?: string }).serviceTier
  }
  expect([await tierOf(), await tierOf('flex'), await tierOf('priority')]).toEqual(['standard', 'flex', 'priority'])
  await expect(tierOf('scale')).rejects.toThrow(/service_tier/)
})
