import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { SseEvents } from '../../sse-events.ts'
import { readGeminiUsage } from './decode.ts'
import { gemini } from './dialect.ts'

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
    expect(parts.map((part) => (part.type === 'text' ? part.text : '')).join('')).toBe(choice?.text)
    expect(thoughtsOf(parts)).toEqual(choice?.reasoning.map(({ text, signature }) => ({ text, signature })))
    expect(callsOf(parts)).toEqual(choice?.toolCalls)
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
    expect(answer.choices).toMatchObject([{ text: null, finish: 'content_filter' }])
  })
})

test.each([
  ['STOP', 'stop'],
  ['MAX_TOKENS', 'length'],
  ['SAFETY', 'content_filter'],
  ['RECITATION', 'content_filter'],
  ['IMAGE_PROHIBITED_CONTENT', 'content_filter'],
  ['SOMETHING_NEW', 'stop'],
])('an answer that ended for %s ended for %s', (finishReason, finish) => {
  const candidates = [{ content: { parts: [{ text: 'A' }] }, finishReason }]
  expect(gemini.decodeChat({ candidates }).choices[0]?.finish).toBe(finish)
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
    return [{ id, name, signature, arguments: json }]
  })
}
