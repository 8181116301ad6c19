import { EventStreamCodec } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import { EventStreamEvents } from '../../event-stream.ts'
import { converse } from './dialect.ts'
import { readConverseUsage } from './usage.ts'

type Events = readonly (readonly [string, unknown])[]

const { fixture, golden } = goldensOf('converse')

const CASES = ['thoughts-and-tools', 'cited']
const answerOf = (name: string) => JSON.parse(fixture(`${name}.response.json`))
const eventsOf = (name: string): Events => JSON.parse(fixture(`${name}.events.json`))
const ANSWER = answerOf('thoughts-and-tools')

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
)

function framed(events: Events, kind: 'event' | 'exception' = 'event'): Uint8Array {
  const messages = events.map(([type, payload]) =>
    codec.encode({
      headers: {
        [`:${kind}-type`]: { type: 'string', value: type },
        ':content-type': { type: 'string', value: 'application/json' },
        ':message-type': { type: 'string', value: kind },
      },
      body: new TextEncoder().encode(JSON.stringify(payload)),
    }),
  )
  return new Uint8Array(Buffer.concat(messages))
}

function play(pieces: readonly Uint8Array[]) {
  const events = new EventStreamEvents()
  const decoder = converse.decodeStream()
  const whole = [...pieces.flatMap((piece) => events.push(piece)), ...events.end()]
  const parts = whole.flatMap((event) => decoder.decode(event))
  return { parts, done: decoder.done, isWhole: decoder.isWhole }
}

describe('an answer', () => {
  test.each(CASES)('is read whole: %s', (name) => {
    const answer = converse.decodeChat(answerOf(name))
    expect(answer).toEqual(golden(`${name}.answer.json`, answer))
  })

  test.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['guardrail_intervened', 'content_filter'],
    ['content_filtered', 'content_filter'],
    ['malformed_tool_use', 'stop'],
    ['something_new', 'stop'],
  ])('that ended for %s ended for %s', (stopReason, finish) => {
    expect(converse.decodeChat({ ...ANSWER, stopReason }).choices[0]?.finish).toBe(finish)
  })

  test('that is none is no answer', () => {
    expect(() => converse.decodeChat({ message: 'Too many requests' })).toThrow(/^Too many requests$/)
    expect(() => converse.decodeChat({ output: { message: null } })).toThrow(SyntaxError)
  })

  test('of nothing but calls says nothing', () => {
    const content = [{ toolUse: { toolUseId: 'a', name: 'b', input: {} } }]
    const [choice] = converse.decodeChat({ ...ANSWER, output: { message: { content } } }).choices
    expect(choice?.content).toMatchObject([{ type: 'call', id: 'a', name: 'b', arguments: '{}' }])
  })
})

describe('usage', () => {
  test('is told in classes that have nothing in common', () => {
    expect(readConverseUsage(ANSWER.usage)).toEqual({
      ...{ input: 10, cachedInput: 200, cacheWrite: 20, cacheWriteHour: 10, output: 50 },
    })
    const undetailed = { inputTokens: 1, outputTokens: 2, cacheWriteInputTokens: 3 }
    expect(readConverseUsage(undetailed)).toEqual({ input: 1, cacheWrite: 3, output: 2 })
  })

  test('of an hour is never more than was written', () => {
    const wire = {
      inputTokens: 1,
      outputTokens: 1,
      cacheWriteInputTokens: 3,
      cacheDetails: [{ ttl: '1h', inputTokens: 9 }],
    }
    expect(readConverseUsage(wire)).toEqual({ input: 1, output: 1, cacheWriteHour: 3 })
  })

  test.each([
    undefined,
    {},
    { outputTokens: 5 },
    { inputTokens: -1, outputTokens: 5 },
    { inputTokens: 1.5, outputTokens: 5 },
    { inputTokens: 1, outputTokens: 2e9 },
    { inputTokens: 1, outputTokens: 1, cacheReadInputTokens: 'many' },
    { inputTokens: 0, outputTokens: 0 },
  ])('that is nonsense is none: %o', (wire) => {
    expect(readConverseUsage(wire)).toBeNull()
  })
})

describe('a stream', () => {
  test.each(CASES)('becomes parts, its start first, its usage last: %s', (name) => {
    const played = play([framed(eventsOf(name))])
    expect(played).toEqual(golden(`${name}.parts.json`, played))
    expect(played).toMatchObject({ done: true, isWhole: true })
  })

  test.each(CASES)('says what the plain answer says: %s', (name) => {
    const answer = converse.decodeChat(answerOf(name))
    const { parts } = play([framed(eventsOf(name))])
    const [choice] = answer.choices
    const said = byKind(choice!.content)
    expect(textOf(parts)).toBe(said.text ?? '')
    expect(callsOf(parts)).toEqual(said.toolCalls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) })))
    expect(parts.flatMap((part) => (part.type === 'annotations' ? part.annotations : []))).toEqual(
      choice?.annotations ?? [],
    )
    expect(parts.find(({ type }) => type === 'finish')).toMatchObject({
      reason: choice?.finish,
      stopSequence: choice?.stopSequence,
    })
    expect(parts.at(-1)).toMatchObject({ type: 'usage', usage: answer.usage, serviceTier: answer.serviceTier })
  })

  test('is the same however its bytes are split', () => {
    const bytes = framed(eventsOf('thoughts-and-tools'))
    const whole = play([bytes])
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
        const at = [...new Set(cuts)].sort((a, b) => a - b)
        const pieces = [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length))
        expect(play(pieces)).toEqual(whole)
      }),
    )
  })

  test('is never done where it was cut, and whole only behind its messageStop', () => {
    const events = eventsOf('cited')
    const bytes = framed(events)
    const answered = framed(events.slice(0, -1)).length
    for (let cut = 0; cut < bytes.length; cut++) {
      const { done, isWhole } = play([bytes.subarray(0, cut)])
      expect(done).toBe(false)
      expect(isWhole).toBe(cut >= answered)
    }
  })

  test('whose metadata comes early, or without an end, isn’t done by it', () => {
    const events = eventsOf('cited')
    const metadata = events.at(-1)!
    expect(play([framed([...events.slice(0, -2), metadata])])).toMatchObject({ done: false, isWhole: false })
    expect(play([framed([...events.slice(0, -2), metadata, events.at(-2)!])])).toMatchObject({ done: true })
  })

  test('that fails amid says so, and why', () => {
    const begun = framed(eventsOf('cited').slice(0, 5))
    const failed = framed([['throttlingException', { message: 'Too many tokens.' }]], 'exception')
    const { parts, done, isWhole } = play([begun, failed])
    expect(parts.at(-1)).toEqual({ type: 'error', message: 'Too many tokens.', code: 'throttlingException' })
    expect({ done, isWhole }).toEqual({ done: false, isWhole: false })
  })

  test('can’t be read where a call’s arguments come before the call, or an event is no object', () => {
    const decoder = converse.decodeStream()
    const delta = { contentBlockIndex: 0, delta: { toolUse: { input: '{' } } }
    expect(() => decoder.decode({ type: 'contentBlockDelta', data: JSON.stringify(delta) })).toThrow(SyntaxError)
    expect(() => decoder.decode({ type: 'messageStop', data: '[]' })).toThrow(SyntaxError)
    expect(() => decoder.decode({ type: 'messageStop', data: '{' })).toThrow(SyntaxError)
    expect(decoder.decode({ type: 'somethingNew', data: '{}' })).toEqual([])
  })
})

function textOf(parts: readonly StreamPart[]): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

function callsOf(parts: readonly StreamPart[]): object[] {
  return parts.flatMap((part) => {
    if (part.type !== 'tool-call') return []
    const { id, name, signature, call } = part
    const json = parts.map((one) => (one.type === 'arguments' && one.call === call ? one.json : '')).join('')
    return [{ type: 'call', id, name, signature, arguments: JSON.parse(json || '{}') }]
  })
}

test.each([
  [{ message: 'No.' }, { message: 'No.', param: null, code: null }],
  [{ Message: 'No.' }, { message: 'No.', param: null, code: null }],
  [
    { __type: 'com.amazon.coral.service#UnknownOperationException' },
    { message: 'UnknownOperationException', param: null, code: 'UnknownOperationException' },
  ],
  [
    { __type: 'ThrottlingException', message: 'Slow.' },
    { message: 'Slow.', param: null, code: 'ThrottlingException' },
  ],
  [{ output: {} }, null],
  [null, null],
  ['Bad gateway', null],
])('an error is read as AWS writes it: %o', (answer, error) => {
  expect(converse.decodeError(answer)).toEqual(error)
})
