import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fixture, golden } from '../../../fixtures/anthropic/golden.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import { SseEvents } from '../../sse-events.ts'
import { anthropic } from './dialect.ts'
import { readUsage } from './usage.ts'

const ANSWER = JSON.parse(fixture('thoughts-and-tools.response.json'))
const STREAM = fixture('thoughts-and-tools.stream.txt')

function play(pieces: Uint8Array[]) {
  const events = new SseEvents()
  const decoder = anthropic.decodeStream()
  const whole = [...pieces.flatMap((piece) => events.push(piece)), ...events.end()]
  return { parts: whole.flatMap((event) => decoder.decode(event)), done: decoder.done }
}

function split(bytes: Uint8Array, cuts: number[]): Uint8Array[] {
  const at = [...new Set(cuts)].sort((a, b) => a - b)
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length))
}

describe('an answer', () => {
  test('is read whole: thoughts with their proof, text, calls, disjoint usage', () => {
    const answer = anthropic.decodeChat(ANSWER)
    expect(answer).toEqual(golden('thoughts-and-tools.answer.json', answer))
    expect(answer.usage).toEqual({
      ...{ input: 10, cachedInput: 200, cacheWrite: 20, cacheWriteHour: 10, output: 35, reasoning: 15, search: 2 },
    })
  })

  test.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['pause_turn', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['refusal', 'content_filter'],
    ['something_new', 'stop'],
  ])('that ended for %s ended for %s', (stop_reason, finish) => {
    expect(anthropic.decodeChat({ ...ANSWER, stop_reason }).choices[0]?.finish).toBe(finish)
  })

  test('says why it was refused, and which sequence stopped it', () => {
    const stop_details = { type: 'refusal', category: 'cyber', explanation: 'No.' }
    const refused = anthropic.decodeChat({ ...ANSWER, stop_reason: 'refusal', stop_details })
    expect(refused.choices[0]?.finish).toBe('content_filter')
    expect(refused.choices[0]?.content.at(-1)).toEqual({ type: 'refusal', text: 'No.' })
    const stopped = anthropic.decodeChat({ ...ANSWER, stop_reason: 'stop_sequence', stop_sequence: 'END' })
    expect(stopped.choices[0]).toMatchObject({ finish: 'stop', stopSequence: 'END' })
  })

  test('that is none is no answer', () => {
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }
    expect(() => anthropic.decodeChat(error)).toThrow(SyntaxError)
    expect(() => anthropic.decodeChat({})).toThrow(SyntaxError)
  })
})

describe('usage', () => {
  test.each([
    [{ input_tokens: -1, output_tokens: 1 }],
    [{ input_tokens: 1.5, output_tokens: 1 }],
    [{ input_tokens: 1, output_tokens: 2e9 }],
    [{ output_tokens: 1 }],
    [{ input_tokens: 1, output_tokens: 1, cache_read_input_tokens: 'many' }],
    [{ input_tokens: 1, output_tokens: 1, server_tool_use: { web_search_requests: -2 } }],
    [{ input_tokens: 0, output_tokens: 0 }],
    [null],
  ])('that is no count is none: %j', (usage) => expect(readUsage(usage)).toBeNull())

  test('without a breakdown all that was written was written for five minutes', () => {
    const usage = { input_tokens: 1, output_tokens: 2, cache_creation_input_tokens: 7, cache_read_input_tokens: null }
    expect(readUsage(usage)).toEqual({ input: 1, output: 2, cacheWrite: 7 })
  })

  test('classes add up to what the provider counted, whatever the numbers', () => {
    const count = fc.nat({ max: 1e9 })
    fc.assert(
      fc.property(count, count, count, count, count, count, (input, read, minutes, hour, output, thought) => {
        const usage = readUsage({
          input_tokens: input,
          cache_read_input_tokens: read,
          cache_creation_input_tokens: Math.min(minutes + hour, 1e9),
          cache_creation: { ephemeral_5m_input_tokens: minutes, ephemeral_1h_input_tokens: hour },
          output_tokens: output,
          output_tokens_details: { thinking_tokens: thought },
        })
        const { cacheWrite = 0, cacheWriteHour = 0, ...rest } = usage ?? {}
        expect(cacheWrite + cacheWriteHour).toBe(Math.min(minutes + hour, 1e9))
        expect((rest.output ?? 0) + (rest.reasoning ?? 0)).toBe(output)
        expect([rest.input ?? 0, rest.cachedInput ?? 0]).toEqual([input, read])
      }),
    )
  })
})

describe('a stream', () => {
  const bytes = Buffer.from(STREAM)

  test('brings the same as the answer', () => {
    const played = { ...play([bytes]), isWhole: true }
    expect(played).toEqual(golden('thoughts-and-tools.parts.json', played))
    const { parts, done } = played
    expect(done).toBe(true)
    const answer = anthropic.decodeChat(ANSWER)
    expect(parts.find(({ type }) => type === 'usage')).toMatchObject({ usage: answer.usage, serviceTier: 'priority' })
    const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
    expect(text).toBe(byKind(answer.choices[0]!.content).text)
    const json = (call: number) =>
      parts.map((part) => (part.type === 'arguments' && part.call === call ? part.json : '')).join('')
    expect([json(0), json(1)]).toEqual(['{"city":"Ulm"}', ''])
  })

  test('split at any bytes brings the same', () => {
    const whole = play([bytes])
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        expect(play(split(bytes, cuts))).toEqual(whole)
      }),
      { numRuns: 200 },
    )
    expect(play([...bytes].map((byte) => Buffer.from([byte])))).toEqual(whole)
  })

  test('cut at any byte is never done, and brings no usage before its end', () => {
    const end = bytes.lastIndexOf('event: message_stop')
    const usageFrom = bytes.lastIndexOf('event: message_delta')
    for (let cut = 0; cut < end; cut += 7) {
      let parts: readonly StreamPart[] = []
      try {
        const played = play([bytes.subarray(0, cut)])
        expect(played.done).toBe(false)
        parts = played.parts
      } catch (error) {
        // The last event, half of it, is no JSON.
        expect(error).toBeInstanceOf(SyntaxError)
      }
      if (cut < usageFrom) expect(parts.some(({ type }) => type === 'usage')).toBe(false)
    }
  })

  test('in chunks as Bedrock wraps them brings the same', () => {
    const events = new SseEvents()
    const decoder = anthropic.decodeStream()
    const parts = [...events.push(bytes), ...events.end()].flatMap(({ data }) =>
      decoder.decode({
        type: 'chunk',
        data: JSON.stringify({ bytes: Buffer.from(data).toString('base64'), p: 'abc' }),
      }),
    )
    expect({ parts, done: decoder.done }).toEqual(play([bytes]))
  })

  test.each([
    ['error', '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 'overloaded_error'],
    ['exception:throttlingException', '{"message":"Overloaded"}', 'throttlingException'],
  ])('that fails says so: %s', (type, data, code) => {
    expect(anthropic.decodeStream().decode({ type, data })).toEqual([{ type: 'error', message: 'Overloaded', code }])
  })

  test('lets events pass that it doesn’t know', () => {
    expect(anthropic.decodeStream().decode({ type: 'new_event', data: '{"type":"new_event","x":1}' })).toEqual([])
  })
})

describe('an error', () => {
  test.each([
    [{ type: 'error', error: { type: 'not_found_error', message: 'model: x' } }, 'model: x', 'not_found_error'],
    [{ message: 'The security token is expired' }, 'The security token is expired', null],
    [[{ error: { code: 403, message: 'Denied', status: 'PERMISSION_DENIED' } }], 'Denied', 'PERMISSION_DENIED'],
  ])('is read wherever it comes from: %j', (answer, message, code) => {
    expect(anthropic.decodeError(answer)).toEqual({ message, param: null, code })
  })
  test.each([null, 'no', {}, ANSWER])('is not seen where there is none', (answer) => {
    expect(anthropic.decodeError(answer)).toBeNull()
  })
})
