import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import { SseEvents } from '../../sse-events.ts'
import { cohere, readCohereUsage } from './dialect.ts'

const { fixture, golden } = goldensOf('cohere')
const ANSWER = JSON.parse(fixture('thoughts-and-tools.response.json'))
const STREAM = Buffer.from(fixture('thoughts-and-tools.stream.txt'))

function play(pieces: readonly Uint8Array[]) {
  const events = new SseEvents()
  const decoder = cohere.decodeStream()
  const whole = [...pieces.flatMap((piece) => events.push(piece)), ...events.end()]
  const parts = whole.flatMap((event) => decoder.decode(event))
  return { parts, done: decoder.done, isWhole: decoder.isWhole ?? decoder.done }
}

const lines = (...events: unknown[]) => [
  Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')),
]

test('an answer is read whole: thoughts, text, calls, what it rests on, disjoint usage', () => {
  const answer = cohere.decodeChat(ANSWER)
  expect(answer).toEqual(golden('thoughts-and-tools.answer.json', answer))
})

describe('a stream', () => {
  test('becomes parts, its start first, its usage last', () => {
    const played = play([STREAM])
    expect(played).toEqual(golden('thoughts-and-tools.parts.json', played))
    expect(played.isWhole).toBe(true)
  })

  test('says what the plain answer says', () => {
    const { choices, usage } = cohere.decodeChat(ANSWER)
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

  test.each(['ERROR', 'TIMEOUT'])('that ends for %s has failed, and so has an answer', (finish_reason) => {
    const end = { type: 'message-end', delta: { finish_reason, error: 'Broken.' } }
    const { parts, done } = play(lines({ type: 'message-start', id: 'x' }, end))
    expect(parts.at(-1)).toEqual({ type: 'error', message: 'Broken.', code: finish_reason })
    expect(done).toBe(false)
    expect(() => cohere.decodeChat({ ...ANSWER, finish_reason })).toThrow(SyntaxError)
  })
})

test.each([
  ['COMPLETE', 'stop'],
  ['STOP_SEQUENCE', 'stop'],
  ['MAX_TOKENS', 'length'],
  ['TOOL_CALL', 'tool_calls'],
  ['ERROR_TOXIC', 'content_filter'],
  ['SOMETHING_NEW', 'stop'],
])('an answer that ended for %s ended for %s', (finish_reason, finish) => {
  expect(cohere.decodeChat({ ...ANSWER, finish_reason }).choices[0]?.finish).toBe(finish)
})

test('usage is what is billed, and what was cached is told apart', () => {
  expect(cohere.decodeChat(ANSWER).usage).toEqual({ input: 7, cachedInput: 30, output: 71 })
})

test.each([
  [{ billed_units: { input_tokens: -1, output_tokens: 1 } }],
  [{ billed_units: { input_tokens: 1.5, output_tokens: 1 } }],
  [{ billed_units: { input_tokens: 1, output_tokens: 2e9 } }],
  [{ billed_units: { input_tokens: 1, output_tokens: 1 }, cached_tokens: 'many' }],
  [{ billed_units: {} }],
  [{}],
  [null],
])('usage that is no count is none: %j', (usage) => expect(readCohereUsage(usage)).toBeNull())

test('an error is read as Cohere writes it', () => {
  expect(cohere.decodeError({ message: 'No.' })).toEqual({ message: 'No.', param: null, code: null })
  expect(cohere.decodeError({ message: { role: 'assistant' } })).toBeNull()
  expect(() => cohere.decodeChat({ message: 'No.' })).toThrow(/^No\.$/)
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
