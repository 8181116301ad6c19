import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import { SseEvents } from '../../sse-events.ts'
import { gemini } from './dialect.ts'
import { readGeminiUsage, searchesOf, serviceTierOf } from './usage.ts'

const { fixture, golden } = goldensOf('gemini')
const ANSWER = JSON.parse(fixture('thoughts-and-tools.response.json'))
const STREAM = Buffer.from(fixture('thoughts-and-tools.stream.txt'))

function play(pieces: readonly Uint8Array[]) {
  const events = new SseEvents()
  const decoder = gemini.decodeStream()
  const whole = [...pieces.flatMap((piece) => events.push(piece)), ...events.end()]
  const parts = whole.flatMap((event) => decoder.decode(event))
  return { parts, done: decoder.done, isWhole: decoder.isWhole ?? decoder.done }
}

const lines = (...events: unknown[]) => [
  Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')),
]

test('an answer is read whole: thoughts, text, calls, what it rests on, disjoint usage', () => {
  const answer = gemini.decodeChat(ANSWER)
  expect(answer).toEqual(golden('thoughts-and-tools.answer.json', answer))
})

describe('a stream', () => {
  test('becomes parts, its start first, its usage last', () => {
    const played = play([STREAM])
    expect(played).toEqual(golden('thoughts-and-tools.parts.json', played))
    expect(played.isWhole).toBe(true)
  })

  test('says what the plain answer says', () => {
    const { choices, usage } = gemini.decodeChat(ANSWER)
    const { parts } = play([STREAM])
    const [choice] = choices
    const said = byKind(choice!.content)
    expect(parts.map((part) => (part.type === 'text' ? part.text : '')).join('')).toBe(said.text)
    expect(thoughtsOf(parts)).toEqual(said.reasoning.map(({ text, signature }) => ({ text, signature })))
    expect(callsOf(parts)).toEqual(said.toolCalls)
    expect(parts.flatMap((part) => (part.type === 'annotations' ? part.annotations : []))).toEqual(choice?.annotations)
    expect(parts.find(({ type }) => type === 'finish')).toMatchObject({ reason: choice?.finish })
    expect(parts.at(-1)).toMatchObject({ type: 'usage', usage })
  })

  test('is the same however its bytes are split', () => {
    const whole = play([STREAM])
    fc.assert(
      fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 20 }), (cuts) => {
        const at = [...new Set(cuts)].sort((a, b) => a - b)
        expect(play([0, ...at].map((from, i) => STREAM.subarray(from, at[i] ?? STREAM.length)))).toEqual(whole)
      }),
      { numRuns: 200 },
    )
    expect(play([...STREAM].map((byte) => Buffer.of(byte)))).toEqual(whole)
  })

  test('that was cut at any byte is never whole', () => {
    // Behind the last event only its end of line is left.
    for (let cut = 0; cut < STREAM.toString().trimEnd().length; cut++) {
      try {
        expect(play([STREAM.subarray(0, cut)]).isWhole).toBe(false)
      } catch (error) {
        // Half an event is no JSON.
        expect(error).toBeInstanceOf(SyntaxError)
      }
    }
  })

  test('that fails amid says so, and why', () => {
    const error = { error: { code: 503, message: 'Overloaded.', status: 'UNAVAILABLE' } }
    const { parts, isWhole } = play(lines({ candidates: [{ content: { parts: [{ text: 'A' }] } }] }, error))
    expect(parts.at(-1)).toEqual({ type: 'error', message: 'Overloaded.', code: 'UNAVAILABLE' })
    expect(isWhole).toBe(false)
  })

  test('of several candidates is whole when each that began has ended', () => {
    const of = (index: number, finishReason?: string) => ({
      candidates: [{ index, content: { parts: [{ text: 'A' }] }, ...(finishReason && { finishReason }) }],
    })
    expect(play(lines(of(0), of(1), of(0, 'STOP'))).isWhole).toBe(false)
    expect(play(lines(of(0), of(1), of(0, 'STOP'), of(1, 'STOP'))).isWhole).toBe(true)
  })

  test('whose prompt was blocked is whole, and filtered', () => {
    const { parts, isWhole } = play(lines({ promptFeedback: { blockReason: 'SAFETY' } }))
    expect(parts.at(-1)).toMatchObject({ type: 'finish', reason: 'content_filter' })
    expect(isWhole).toBe(true)
    const answer = gemini.decodeChat({ promptFeedback: { blockReason: 'SAFETY' } })
    expect(answer.choices).toMatchObject([{ content: [], finish: 'content_filter' }])
  })
})

test.each([
  ['STOP', 'stop'],
  ['MAX_TOKENS', 'length'],
  ['SAFETY', 'content_filter'],
  ['RECITATION', 'content_filter'],
  ['IMAGE_PROHIBITED_CONTENT', 'content_filter'],
  ['CONTINUATION', 'length'],
  ['MALFORMED_FUNCTION_CALL', 'stop'],
  ['SOMETHING_NEW', 'stop'],
])('an answer that ended for %s ended for %s', (finishReason, finish) => {
  const candidates = [{ content: { parts: [{ text: 'A' }] }, finishReason }]
  expect(gemini.decodeChat({ candidates }).choices[0]?.finish).toBe(finish)
})

test.each([
  ['MALFORMED_FUNCTION_CALL', 'Malformed: f(', 'Malformed: f('],
  ['UNEXPECTED_TOOL_CALL', undefined, 'The model ended without an answer: UNEXPECTED_TOOL_CALL.'],
])('an answer that says nothing says why, streamed too: %s', (finishReason, finishMessage, refusal) => {
  const chunk = { candidates: [{ content: {}, finishReason, finishMessage }] }
  expect(gemini.decodeChat(chunk).choices).toMatchObject([
    { content: [{ type: 'refusal', text: refusal }], finish: 'stop' },
  ])
  expect(play(lines(chunk)).parts).toContainEqual({ type: 'refusal', choice: 0, text: refusal })
  const spoken = { candidates: [{ content: { parts: [{ text: 'A' }] }, finishReason, finishMessage }] }
  expect(gemini.decodeChat(spoken).choices[0]?.content).toEqual([{ type: 'text', text: 'A' }])
  expect(play(lines(spoken)).parts.some(({ type }) => type === 'refusal')).toBe(false)
})

test('what has no place in an answer is told in Markdown, and what was only thought of isn’t', () => {
  const parts = [
    { thought: true, inlineData: { mimeType: 'image/png', data: 'AA==' } },
    { executableCode: { language: 'PYTHON', code: 'print(1)' } },
    { codeExecutionResult: { outcome: 'OUTCOME_OK', output: '1' } },
    { inlineData: { mimeType: 'image/png', data: 'iVBO' } },
    { toolCall: {} },
  ]
  const chunk = { candidates: [{ content: { parts }, finishReason: 'STOP' }] }
  const text = '\n```python\nprint(1)\n```\n\n```\n1\n```\n![](data:image/png;base64,iVBO)'
  expect(gemini.decodeChat(chunk).choices[0]?.content).toEqual([{ type: 'text', text }])
  const { parts: streamed } = play(lines(chunk))
  expect(streamed.map((part) => (part.type === 'text' ? part.text : '')).join('')).toBe(text)
})

test('half a call is no call', () => {
  const functionCall = { name: 'f', partialArgs: [{ jsonPath: '$.a', stringValue: 'b' }], willContinue: true }
  const chunk = { candidates: [{ content: { parts: [{ functionCall }] } }] }
  expect(() => gemini.decodeChat(chunk)).toThrow(SyntaxError)
  expect(() => play(lines(chunk))).toThrow(SyntaxError)
})

describe('what backs an answer', () => {
  const web = (n: number) => ({ web: { uri: `https://example.com/${n}`, title: `Page ${n}` } })
  const groundingMetadata = {
    webSearchQueries: ['ulm', 'minster', ''],
    groundingChunks: [web(0), web(1), { retrievedContext: { uri: 'gs://b/c', title: 'C' } }, { web: {} }],
    groundingSupports: [
      { segment: { startIndex: 7, endIndex: 15, text: 'Größe 1.' }, groundingChunkIndices: [0, 1] },
      { segment: { startIndex: 16, endIndex: 24, text: 'Größe 1.' }, groundingChunkIndices: [1, 3, 9] },
      { segment: { text: 'not said' }, groundingChunkIndices: [0] },
    ],
  }
  const usageMetadata = { promptTokenCount: 4, candidatesTokenCount: 2 }
  const said = (text: string, more: object = {}) => ({ content: { parts: [{ text }] }, ...more })
  const text = 'Größe: Größe 1. Größe 1.'
  const citation = (n: number, start_index: number, end_index: number) => ({
    type: 'url_citation',
    url_citation: { url: `https://example.com/${n}`, title: `Page ${n}`, start_index, end_index },
  })
  const documents = { url: 'gs://b/c', title: 'C', start_index: 0, end_index: 0 }
  const annotations = [
    citation(0, 7, 15),
    citation(1, 7, 15),
    citation(1, 16, 24),
    { type: 'url_citation', url_citation: documents },
  ]

  test('is told with the place of what it backs', () => {
    const candidates = [said(text, { finishReason: 'STOP', groundingMetadata })]
    const found = gemini.decodeChat({ candidates, usageMetadata }).choices[0]?.annotations
    expect(found).toEqual(annotations)
  })

  test('is told once in a stream, however often it comes', () => {
    const { parts } = play(
      lines(
        { candidates: [said(text)] },
        { candidates: [said('', { groundingMetadata })] },
        { candidates: [said('', { groundingMetadata, finishReason: 'STOP' })], usageMetadata },
      ),
    )
    const plain = gemini.decodeChat({ candidates: [said(text, { groundingMetadata })] }).choices[0]?.annotations
    expect(parts.flatMap((part) => (part.type === 'annotations' ? part.annotations : []))).toEqual(plain)
  })

  test.each([
    ['gemini-3.8-flash', 2],
    ['gemini-2.5-pro', 1],
  ])('is billed by the query from Gemini 3 on, and before by the request: %s', (modelVersion, search) => {
    const chunk = { modelVersion, candidates: [said(text, { finishReason: 'STOP', groundingMetadata })], usageMetadata }
    expect(gemini.decodeChat(chunk).usage).toEqual({ input: 4, output: 2, search })
    expect(play(lines(chunk, chunk)).parts.at(-1)).toMatchObject({ usage: { input: 4, output: 2, search } })
  })
})

test('probabilities are told as OpenAI tells them', () => {
  const logprobsResult = {
    chosenCandidates: [{ token: 'A', logProbability: -0.1 }],
    topCandidates: [
      {
        candidates: [
          { token: 'A', logProbability: -0.1 },
          { token: 'B', logProbability: -2 },
        ],
      },
    ],
  }
  const candidates = [{ content: { parts: [{ text: 'A' }] }, finishReason: 'STOP', logprobsResult }]
  const of = (token: string, logprob: number) => ({ token, logprob, bytes: null })
  expect(gemini.decodeChat({ candidates }).choices[0]?.logprobs).toEqual({
    content: [{ ...of('A', -0.1), top_logprobs: [of('A', -0.1), of('B', -2)] }],
    refusal: null,
  })
})

test.each([
  [{ serviceTier: 'standard' }, 'default'],
  [{ serviceTier: 'flex' }, 'flex'],
  [{ serviceTier: 'priority' }, 'priority'],
  [{ trafficType: 'ON_DEMAND_FLEX' }, 'flex'],
  [{ trafficType: 'ON_DEMAND_PRIORITY' }, 'priority'],
  [{ trafficType: 'ON_DEMAND' }, 'default'],
  [{ trafficType: 'PROVISIONED_THROUGHPUT' }, null],
  [{}, null],
])('the tier that served it is told: %j is %s', (usage, tier) => {
  expect(serviceTierOf(usage)).toBe(tier)
  const candidates = [{ content: { parts: [{ text: 'A' }] }, finishReason: 'STOP' }]
  const chunk = { candidates, usageMetadata: { promptTokenCount: 1, ...usage } }
  expect(gemini.decodeChat(chunk).serviceTier).toBe(tier)
  expect(play(lines(chunk)).parts.at(-1)).toMatchObject({ serviceTier: tier })
})

test('Vertex AI tells when, and that is told', () => {
  const chunk = {
    createTime: '2026-11-21T04:00:00.123Z',
    candidates: [{ content: { parts: [{ text: 'A' }] }, finishReason: 'STOP' }],
  }
  expect(gemini.decodeChat(chunk).createdAt).toBe(1_795_233_600)
  expect(play(lines(chunk)).parts[0]).toMatchObject({ type: 'start', createdAt: 1_795_233_600 })
})

test('calls without ids get such as are the same the next time, and differ', () => {
  const part = { functionCall: { name: 'f', args: {} } }
  const chunk = { responseId: 'r', candidates: [{ content: { parts: [part, part] }, finishReason: 'STOP' }] }
  const ids = byKind(gemini.decodeChat(chunk).choices[0]!.content).toolCalls.map(({ id }) => id)
  expect(ids).toEqual(['r_0_0', 'r_0_1'])
  expect(callsOf(play(lines(chunk)).parts)).toMatchObject(ids.map((id) => ({ id, arguments: '{}' })))
})

test('pictures and sounds are told apart, cached or not', () => {
  const usage = readGeminiUsage({
    ...{ promptTokenCount: 100, cachedContentTokenCount: 40, candidatesTokenCount: 1_200, thoughtsTokenCount: 9 },
    totalTokenCount: 1_309,
    promptTokensDetails: [
      { modality: 'TEXT', tokenCount: 20 },
      { modality: 'IMAGE', tokenCount: 50 },
      { modality: 'VIDEO', tokenCount: 10 },
      { modality: 'AUDIO', tokenCount: 20 },
    ],
    cacheTokensDetails: [
      { modality: 'IMAGE', tokenCount: 30 },
      { modality: 'AUDIO', tokenCount: 10 },
    ],
    candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: 1_120 }],
  })
  expect(usage).toEqual({
    ...{ input: 30, cachedInput: 30, cachedAudioInput: 10, audioInput: 10, imageInput: 20 },
    ...{ output: 80, imageOutput: 1_120, reasoning: 9 },
  })
})

test('thoughts that the total shows to be among the candidates aren’t counted twice', () => {
  const counts = { promptTokenCount: 10, candidatesTokenCount: 30, thoughtsTokenCount: 20 }
  expect(readGeminiUsage({ ...counts, totalTokenCount: 40 })).toEqual({ input: 10, output: 10, reasoning: 20 })
  expect(readGeminiUsage({ ...counts, totalTokenCount: 60 })).toEqual({ input: 10, output: 30, reasoning: 20 })
})

test('usage is told in classes that have nothing in common', () => {
  expect(gemini.decodeChat(ANSWER).usage).toEqual({
    ...{ input: 20, cachedInput: 98, cachedAudioInput: 2, audioInput: 5, output: 30, reasoning: 12 },
  })
})

test('classes add up to what Google counted, whatever the numbers', () => {
  const count = fc.nat({ max: 1e6 })
  fc.assert(
    fc.property(count, count, count, count, count, count, (prompt, tools, cached, audio, output, thought) => {
      const usage = readGeminiUsage({
        ...{ promptTokenCount: prompt, toolUsePromptTokenCount: tools, cachedContentTokenCount: cached },
        ...{ candidatesTokenCount: output, thoughtsTokenCount: thought },
        promptTokensDetails: [{ modality: 'AUDIO', tokenCount: audio }],
        cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: Math.min(audio, 9) }],
      })
      const sum = Object.values(usage ?? {}).reduce((total: number, one) => total + (one ?? 0), 0)
      expect(sum).toBe(prompt + tools + output + thought)
    }),
  )
})

test.each([
  [{ promptTokenCount: -1 }],
  [{ promptTokenCount: 1.5, candidatesTokenCount: 1 }],
  [{ promptTokenCount: 1, candidatesTokenCount: 2e9 }],
  [{ promptTokenCount: 1, thoughtsTokenCount: 'many' }],
  [{}],
  [null],
])('usage that is no count is none: %j', (usage) => expect(readGeminiUsage(usage)).toBeNull())

test.each([
  [{ error: { code: 400, message: 'No.', status: 'INVALID_ARGUMENT' } }],
  [[{ error: { code: 400, message: 'No.', status: 'INVALID_ARGUMENT' } }]],
])('an error is read as Google writes it, by itself or in an array: %j', (answer) => {
  expect(gemini.decodeError(answer)).toEqual({ message: 'No.', param: null, code: 'INVALID_ARGUMENT' })
})

test.each<[string | null, string, number]>([
  ['gemini-2.5-flash', 'gemini-2.5-flash', 1],
  ['gemini-3.5-flash', 'gemini-3.5-flash', 2],
  [null, 'gemini-3.5-flash', 2],
  [null, 'gemini-2.5-flash', 1],
  ['models/tuned', 'gemini-3.5-flash', 2],
  ['gemini-3.5-flash', 'gemini-flash-latest', 2],
  [null, 'gemini-flash-latest', 2],
  // A prompt at $35 a thousand is paid at the price of queries, $14.
  ['gemini-2.5-flash', 'gemini-flash-latest', 3],
])('two queries answered by %s, asked of %s, are billed as %d', (served, asked, searches) => {
  expect(searchesOf(new Set(['a', 'b']), served, asked)).toBe(searches)
  expect(searchesOf(new Set(), served, asked)).toBe(0)
})

test('an answer that is none is no answer', () => {
  expect(gemini.decodeError({ candidates: [] })).toBeNull()
  expect(() => gemini.decodeChat({ candidates: [] })).toThrow(SyntaxError)
})

function thoughtsOf(parts: readonly StreamPart[]): { text: string | null; signature: string | null }[] {
  const thoughts: { text: string | null; signature: string | null }[] = []
  for (const part of parts) {
    if (part.type !== 'reasoning') continue
    const before = thoughts[part.block]
    thoughts[part.block] = {
      text: part.text === null ? (before?.text ?? null) : (before?.text ?? '') + part.text,
      signature: part.signature ?? before?.signature ?? null,
    }
  }
  return thoughts
}

function callsOf(parts: readonly StreamPart[]): object[] {
  return parts.flatMap((part) => {
    if (part.type !== 'tool-call') return []
    const { id, name, signature, call } = part
    const json = parts.map((one) => (one.type === 'arguments' && one.call === call ? one.json : '')).join('')
    return [{ type: 'call', id, name, signature, arguments: json }]
  })
}
