import { StopReason as ConverseReason } from '@aws-sdk/client-bedrock-runtime'
import { FinishReason as GeminiReason } from '@google/genai'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import { Cohere } from 'cohere-ai'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../fixtures/goldens.ts'
import type { AnswerPart, Audio, ChatAnswer, StreamPart } from '../chat/answer.ts'
import { byKind } from '../chat/content.ts'
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
    expect(listed(comparable(DIALECTS.openai.decodeChat(told)))).toEqual(withNames(listed(comparable(answer))))
    const { parts } = play([bytesOf(name)], answer.choices.length)
    const writer = chat.writeStream(context)
    const text = writer.write(parts) + writer.end({ usage: {}, wantsUsage: false, cost: null, early: null })
    const [framing, decoder] = [new SseEvents(), DIALECTS.openai.decodeStream()]
    const again = framing.push(Buffer.from(text)).flatMap((event) => decoder.decode(event))
    const lists = listed(choicesOf(again))
    expect(lists.map((choice) => ({ ...choice, ...worded(choice) }))).toEqual(withNames(listed(comparable(answer))))
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

/** What an answer says, as far as a stream says it too: in the same order. */
function comparable({ choices }: ChatAnswer): Comparable[] {
  return choices.map(({ index, content, audio, finish, stopSequence, logprobs, annotations }) => ({
    ...{ index, finish, stopSequence, audio: audio ?? null, annotations: annotations ?? [] },
    content: content.flatMap((part): object[] => {
      if (part.type === 'reasoning') return [{ ...part, text: part.text ?? '', id: null }]
      if (part.type === 'call') return [{ ...part, arguments: part.arguments === '{}' ? '' : part.arguments }]
      return part.text === '' ? [] : [part]
    }) as AnswerPart[],
    logprobs: isObject(logprobs) ? logprobs.content : [],
  }))
}

type Comparable = { readonly content: readonly AnswerPart[] }

/** The same where there is a list for each kind, and no order among them. */
function listed(choices: readonly Comparable[]): object[] {
  return choices.map((choice) => ({ ...choice, content: byKind(choice.content) }))
}

/** The same, put together from its parts. */
function choicesOf(parts: readonly StreamPart[]): Comparable[] {
  const choices = [...new Set(parts.flatMap((part) => ('choice' in part ? [part.choice] : [])))].sort()
  return choices.map((index) => {
    const own = parts.filter((part) => 'choice' in part && part.choice === index)
    const all = <T extends StreamPart['type']>(type: T) =>
      own.filter((part): part is Extract<StreamPart, { type: T }> => part.type === type)
    const finish = all('finish')
    expect(finish.length).toBe(1)
    return {
      index,
      finish: finish[0]!.reason,
      stopSequence: finish[0]!.stopSequence,
      annotations: all('annotations').flatMap(({ annotations }) => annotations),
      audio: audioOf(all('audio')),
      content: contentOf(own),
      logprobs: all('logprobs').flatMap(({ logprobs }) => (logprobs as { content: unknown[] }).content),
    }
  })
}

function contentOf(parts: readonly StreamPart[]): AnswerPart[] {
  const content: { -readonly [Key in string]: unknown }[] = []
  const growing = new Map<string, (typeof content)[number]>()
  const at = (key: string, begun: object) => {
    const known = growing.get(key) ?? { ...begun }
    if (!growing.has(key)) content.push(known)
    growing.set(key, known)
    return known
  }
  for (const part of parts) {
    if (part.type === 'text' || part.type === 'refusal') {
      const last = content.at(-1)
      if (last?.type === part.type) last.text += part.text
      else content.push({ type: part.type, text: part.text })
    } else if (part.type === 'reasoning') {
      const begun = { type: 'reasoning', text: '', signature: null, encrypted: null, id: null }
      const block = at(`thought ${part.block}`, begun)
      block.text += part.text ?? ''
      block.signature = part.signature ?? block.signature
      block.encrypted = part.encrypted ?? block.encrypted
    } else if (part.type === 'tool-call') {
      const { id, name, signature } = part
      at(`call ${part.call}`, { type: 'call', id, name, arguments: '', signature })
    } else if (part.type === 'arguments') at(`call ${part.call}`, {}).arguments += part.json
  }
  for (const part of content) if (part.arguments === '{}') part.arguments = ''
  return content as unknown as AnswerPart[]
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
    const { finish, content } = DIALECTS[dialect].decodeChat(answer).choices[0]!
    return { answer: { finish, refusal: byKind(content).refusal }, stream }
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
