import { StopReason as ConverseReason } from '@aws-sdk/client-bedrock-runtime'
import { FinishReason as GeminiReason } from '@google/genai'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import { Cohere } from 'cohere-ai'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../fixtures/goldens.ts'
import type { Audio, ChatAnswer, StreamPart } from '../chat/answer.ts'
import type { JsonObject } from '../chat/request.ts'
import type { DialectName, WireEvent } from '../dialect.ts'
import { DIALECTS } from '../dialects.ts'
import { EventStreamEvents } from '../event-stream.ts'
import { isObject } from '../fields.ts'
import { SseEvents } from '../sse-events.ts'
import { chat } from '../surfaces/chat/chat.ts'

const NAMES: readonly DialectName[] = ['openai', 'anthropic', 'gemini', 'converse', 'cohere']
const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
)

describe.each(NAMES)('%s', (dialect) => {
  const { fixture, golden, named } = goldensOf(dialect)
  const cases = named('.response.json').map((name) => name.replace('.response.json', ''))
  const answerOf = (name: string) => DIALECTS[dialect].decodeChat(JSON.parse(fixture(`${name}.response.json`)))
  const bytesOf = (name: string) =>
    dialect === 'converse'
      ? framed(JSON.parse(fixture(`${name}.events.json`)))
      : Buffer.from(fixture(`${name}.stream.txt`))
  const play = (pieces: readonly Uint8Array[], choices?: number) => {
    const framing = dialect === 'converse' ? new EventStreamEvents() : new SseEvents()
    const decoder = DIALECTS[dialect].decodeStream(choices)
    const events: WireEvent[] = [...pieces.flatMap((piece) => framing.push(piece)), ...framing.end()]
    const parts = events.flatMap((event) => decoder.decode(event))
    return { parts, done: decoder.done, isWhole: decoder.isWhole ?? decoder.done }
  }

  test.each(cases)('an answer and its stream are read as their goldens say, and say the same: %s', (name) => {
    const answer = answerOf(name)
    expect(answer).toEqual(golden(`${name}.answer.json`, answer))
    const played = play([bytesOf(name)], answer.choices.length)
    expect(played).toEqual(golden(`${name}.parts.json`, played))
    expect(played.isWhole).toBe(true)
    expect(choicesOf(played.parts)).toEqual(comparable(answer))
    expect(played.parts.findLast((part) => part.type === 'usage')?.usage ?? null).toEqual(answer.usage)
  })

  test.each(cases)('an answer and its stream are told in chat completions without loss: %s', (name) => {
    const answer = answerOf(name)
    const context = { id: 'x'.repeat(24), model: 'm', createdAt: 1, request: REQUEST, body: {} }
    const told = JSON.parse(JSON.stringify(chat.writeAnswer(answer, context)))
    expect(comparable(DIALECTS.openai.decodeChat(told))).toEqual(withNames(comparable(answer)))
    const { parts } = play([bytesOf(name)], answer.choices.length)
    const writer = chat.writeStream(context)
    const text = writer.write(parts) + writer.end({ usage: {}, wantsUsage: false, cost: null, early: null })
    const [framing, decoder] = [new SseEvents(), DIALECTS.openai.decodeStream()]
    const again = framing.push(Buffer.from(text)).flatMap((event) => decoder.decode(event))
    expect(choicesOf(again).map((choice) => ({ ...choice, ...worded(choice) }))).toEqual(withNames(comparable(answer)))
  })

  test.each(cases)('a stream is the same however its bytes are split: %s', (name) => {
    const bytes = bytesOf(name)
    const whole = play([bytes])
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
        const at = [...new Set(cuts)].sort((a, b) => a - b)
        expect(play([0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length)))).toEqual(whole)
      }),
      { numRuns: 50 },
    )
  })

  test.each(cases)('a stream that was cut at any byte is never done, nor whole before all was said: %s', (name) => {
    const bytes = bytesOf(name)
    const choices = answerOf(name).choices.length
    // Behind the last event only its end of line is left; and what Bedrock tells behind an answer is only what it came to.
    const end = dialect === 'converse' ? bytes.length : Buffer.byteLength(Buffer.from(bytes).toString().trimEnd())
    const spoken = play([bytes]).parts.filter(({ type }) => type !== 'usage').length
    for (let cut = 0; cut < end; cut++) {
      try {
        const { parts, done, isWhole } = play([bytes.subarray(0, cut)], choices)
        expect(done).toBe(false)
        if (isWhole) expect(parts.filter(({ type }) => type !== 'usage').length).toBe(spoken)
      } catch (error) {
        // Half an event is no JSON.
        expect(error).toBeInstanceOf(SyntaxError)
      }
    }
  })

  test('every reason to end is one that callers know, in an answer and in a stream', () => {
    const told = Object.fromEntries(REASONS[dialect].map((reason) => [reason, endOf(dialect, reason)]))
    expect(told).toEqual(golden('finish-reasons.json', told))
  })
})

const REQUEST = chat.readRequest({ messages: [{ role: 'user', content: 'Hi.' }] })

/** What is said aloud has a name and words in chat completions, where the provider gave it none. */
function withNames(choices: readonly object[]): object[] {
  return choices.map((choice) => {
    const { audio } = choice as { audio: Audio | null }
    if (audio === null) return choice
    const { id, data, transcript, expiresAt } = audio
    return { ...choice, audio: { id: id ?? 'audio_0', data, transcript: transcript ?? '', expiresAt: expiresAt ?? 0 } }
  })
}

function worded(choice: object): object {
  return { audio: (withNames([choice])[0] as { audio: Audio | null }).audio }
}

function framed(events: readonly (readonly [string, unknown])[]): Uint8Array {
  const messages = events.map(([type, payload]) =>
    codec.encode({
      headers: {
        ':event-type': { type: 'string', value: type },
        ':content-type': { type: 'string', value: 'application/json' },
        ':message-type': { type: 'string', value: 'event' },
      },
      body: new TextEncoder().encode(JSON.stringify(payload)),
    }),
  )
  return new Uint8Array(Buffer.concat(messages))
}

/** What an answer says, as far as a stream says it too. */
function comparable({ choices }: ChatAnswer): object[] {
  return choices.map(
    ({ index, reasoning, text, refusal, audio, toolCalls, finish, stopSequence, logprobs, annotations }) => ({
      ...{ index, text: text ?? '', refusal: refusal ?? '', finish, stopSequence, annotations: annotations ?? [] },
      audio: audio ?? null,
      reasoning: reasoning.map(({ text: thought, signature, encrypted }) => ({
        text: thought ?? '',
        signature,
        encrypted,
      })),
      toolCalls: toolCalls.map((call) => ({ ...call, arguments: call.arguments === '{}' ? '' : call.arguments })),
      logprobs: isObject(logprobs) ? logprobs.content : [],
    }),
  )
}

/** The same, put together from its parts. */
function choicesOf(parts: readonly StreamPart[]): object[] {
  const choices = [...new Set(parts.flatMap((part) => ('choice' in part ? [part.choice] : [])))].sort()
  return choices.map((index) => {
    const own = parts.filter((part) => 'choice' in part && part.choice === index)
    const all = <T extends StreamPart['type']>(type: T) =>
      own.filter((part): part is Extract<StreamPart, { type: T }> => part.type === type)
    const finish = all('finish')
    expect(finish.length).toBe(1)
    return {
      index,
      text: all('text')
        .map(({ text }) => text)
        .join(''),
      refusal: all('refusal')
        .map(({ text }) => text)
        .join(''),
      finish: finish[0]!.reason,
      stopSequence: finish[0]!.stopSequence,
      annotations: all('annotations').flatMap(({ annotations }) => annotations),
      audio: audioOf(all('audio')),
      reasoning: thoughtsOf(all('reasoning')),
      toolCalls: all('tool-call').map(({ id, name, signature, call }) => {
        const json = all('arguments')
          .map((part) => (part.call === call ? part.json : ''))
          .join('')
        return { id, name, signature, arguments: json === '{}' ? '' : json }
      }),
      logprobs: all('logprobs').flatMap(({ logprobs }) => (logprobs as { content: unknown[] }).content),
    }
  })
}

function thoughtsOf(pieces: readonly Extract<StreamPart, { type: 'reasoning' }>[]): object[] {
  const thoughts: { text: string; signature: string | null; encrypted: string | null }[] = []
  for (const { block, text, signature, encrypted } of pieces) {
    thoughts[block] ??= { text: '', signature: null, encrypted: null }
    thoughts[block].text += text ?? ''
    thoughts[block].signature = signature ?? thoughts[block].signature
    thoughts[block].encrypted = encrypted ?? thoughts[block].encrypted
  }
  return thoughts
}

function audioOf(pieces: readonly Extract<StreamPart, { type: 'audio' }>[]): object | null {
  if (pieces.length === 0) return null
  const words = pieces.flatMap(({ transcript }) => transcript ?? [])
  return {
    id: pieces.find(({ id }) => id !== null)?.id ?? null,
    data: Buffer.concat(pieces.map(({ data }) => Buffer.from(data ?? '', 'base64'))).toString('base64'),
    transcript: words.length > 0 ? words.join('') : null,
    expiresAt: pieces.find(({ expiresAt }) => expiresAt !== null)?.expiresAt ?? null,
  }
}

/** All that the providers' own SDKs know, and what only their documentation does. */
const REASONS: Readonly<Record<DialectName, readonly string[]>> = {
  openai: ['stop', 'length', 'tool_calls', 'content_filter', 'function_call'],
  anthropic: [
    ...[
      'end_turn',
      'max_tokens',
      'stop_sequence',
      'tool_use',
      'pause_turn',
      'refusal',
      'model_context_window_exceeded',
    ],
  ],
  gemini: Object.values(GeminiReason),
  converse: [...Object.values(ConverseReason), 'refusal'],
  cohere: [...Object.values(Cohere.ChatFinishReason), 'ERROR_TOXIC'],
}

/** How an answer without any words ends for a reason, and a stream. */
function endOf(dialect: DialectName, reason: string): object {
  const [answer, ...events] = EMPTY[dialect](reason)
  const decoder = DIALECTS[dialect].decodeStream()
  const parts = events.flatMap(([type, data]) => decoder.decode({ type, data: JSON.stringify(data) }))
  const stream = parts.filter(({ type }) => type !== 'start')
  try {
    const { finish, refusal } = DIALECTS[dialect].decodeChat(answer).choices[0]!
    return { answer: { finish, refusal }, stream }
  } catch (error) {
    return { answer: { fails: (error as Error).message }, stream }
  }
}

type Told = [answer: JsonObject, ...events: [string | null, JsonObject][]]

const EMPTY: Readonly<Record<DialectName, (reason: string) => Told>> = {
  openai: (finish_reason) => [
    { choices: [{ index: 0, message: { content: null }, finish_reason }] },
    [null, { choices: [{ index: 0, delta: {}, finish_reason }] }],
  ],
  anthropic: (stop_reason) => [
    { content: [], stop_reason },
    ['message_delta', { type: 'message_delta', delta: { stop_reason } }],
  ],
  gemini: (finishReason) => [{ candidates: [{ finishReason }] }, [null, { candidates: [{ finishReason }] }]],
  converse: (stopReason) => [{ output: { message: { content: [] } }, stopReason }, ['messageStop', { stopReason }]],
  cohere: (finish_reason) => [
    { message: { content: [] }, finish_reason },
    ['message-end', { type: 'message-end', delta: { finish_reason } }],
  ],
}
