import Anthropic from '@anthropic-ai/sdk'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../fixtures/goldens.ts'
import type { JsonObject } from '../chat/request.ts'
import type { Dialect, Target } from '../dialect.ts'
import { DIALECTS } from '../dialects.ts'
import type { AnswerContext, Surface } from '../surface.ts'
import { framingOf } from '../translation.ts'
import { chat } from './chat/chat.ts'
import { messages } from './messages/messages.ts'
import { responses } from './responses/responses.ts'

/** What each provider said in the golden `interleaved`: its own blocks, in which its thoughts stand between what is said and called. */
const PROVIDERS = {
  anthropic: {
    model: 'claude-opus-4-8',
    said: ({ content }: JsonObject) => (content as JsonObject[]).map(({ citations: _, ...block }) => block),
    again: ({ messages: [, turn] }: JsonObject & { messages: JsonObject[] }) => turn?.content,
  },
  converse: {
    model: 'us.anthropic.claude-opus-4-6-v1',
    said: ({ output }: JsonObject) => (output as { message: JsonObject }).message.content,
    again: ({ messages: [, turn] }: JsonObject & { messages: JsonObject[] }) => turn?.content,
  },
  gemini: {
    model: 'gemini-3-pro-preview',
    said: ({ candidates }: JsonObject) => (candidates as { content: JsonObject }[])[0]?.content.parts,
    again: ({ contents: [, turn] }: JsonObject & { contents: JsonObject[] }) => turn?.parts,
  },
} as const
const NAMES = ['anthropic', 'converse', 'gemini'] as const

const USER = { role: 'user', content: 'How is the weather?' }

describe.each(NAMES)('what %s thought between its words goes back to it where it stood', (name) => {
  const { fixture } = goldensOf(name)
  const dialect: Dialect = DIALECTS[name]
  const { model, said, again } = PROVIDERS[name]
  const target: Target = {
    ...{ model, hosting: name === 'converse' ? 'bedrock' : 'native', outputTokensMax: null },
    unsupported: (param) => expect.unreachable(param),
  }
  const ANSWER = JSON.parse(fixture('interleaved.response.json')) as JsonObject

  /** The provider's blocks, after a caller has brought back what the surface told it. */
  const brought = (surface: Surface, history: JsonObject) => {
    const { body } = dialect.encodeChat(surface.readRequest({ model: 'm', max_tokens: 9, ...history }), target)
    return again(body as never)
  }
  const contextOf = (surface: Surface, history: JsonObject): AnswerContext => ({
    ...{ id: 'x'.repeat(24), model: 'm', createdAt: 1, body: {} },
    request: surface.readRequest({ model: 'm', max_tokens: 9, ...history }),
  })
  const streamed = (surface: Surface, history: JsonObject): string => {
    const framing = framingOf(dialect.framing)
    const decoder = dialect.decodeStream()
    const writer = surface.writeStream(contextOf(surface, history))
    const events = name === 'converse' ? framing.push(framed(fixture('interleaved.events.json'))) : null
    const pieces = events ?? framing.push(Buffer.from(fixture('interleaved.stream.txt')))
    const text = pieces.map((event) => writer.write(decoder.decode(event))).join('')
    return text + writer.end({ usage: {}, wantsUsage: false, cost: null, early: null })
  }

  test('through Messages', async () => {
    const context = contextOf(messages, { messages: [USER] })
    const { content } = messages.writeAnswer(dialect.decodeChat(ANSWER), context)
    const body = streamed(messages, { messages: [USER] })
    const fetch = async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    const client = new Anthropic({ apiKey: 'any', fetch, logLevel: 'off' })
    const asked = { model: 'm', max_tokens: 9, messages: [{ role: 'user' as const, content: 'Hi.' }] }
    const message = await client.messages.stream(asked).finalMessage()
    for (const told of [content, message.content]) {
      const results = resultsOf(told as JsonObject[])
      const history = [USER, { role: 'assistant', content: told }, { role: 'user', content: results }]
      expect(brought(messages, { messages: history })).toEqual(said(ANSWER))
    }
  })

  test('through chat completions', () => {
    const asked = { messages: [USER] }
    const { choices } = chat.writeAnswer(dialect.decodeChat(ANSWER), contextOf(chat, asked))
    const events = streamed(chat, asked)
      .split('\n\n')
      .filter((event) => event.includes('"choices"'))
    const deltas = events.map((event) => JSON.parse(event.slice('data: '.length)).choices[0].delta as JsonObject)
    for (const told of [(choices as { message: JsonObject }[])[0]!.message, assembled(deltas)]) {
      const results = (told.tool_calls as { id: string }[]).map(({ id }) => ({
        ...{ role: 'tool', tool_call_id: id, content: 'Rain.' },
      }))
      expect(brought(chat, { messages: [USER, told, ...results] })).toEqual(said(ANSWER))
    }
  })

  test('through Responses', () => {
    const whole = responses.writeAnswer(dialect.decodeChat(ANSWER), contextOf(responses, { input: 'Hi.' }))
    const events = streamed(responses, { input: 'Hi.' }).split('\n\n').slice(0, -1)
    const last = JSON.parse(events.at(-1)!.split('data: ')[1]!) as { response: JsonObject }
    for (const { output } of [whole, last.response]) {
      const items = output as JsonObject[]
      const outputs = items.flatMap(({ type, call_id }) =>
        type === 'function_call' ? [{ type: 'function_call_output', call_id, output: 'Rain.' }] : [],
      )
      expect(brought(responses, { max_tokens: undefined, input: [USER, ...items, ...outputs] })).toEqual(said(ANSWER))
    }
  })
})

test.each([
  ['anthropic', [{ type: 'text', text: 'So' }]],
  ['converse', [{ text: 'So' }]],
] as const)(
  'an answer that is begun for a model of %s doesn’t end in a thought, which would be refused',
  (name, begun) => {
    const thought = { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' }
    const turnsOf = (content: readonly JsonObject[]) => {
      const history = [USER, { role: 'assistant', content }]
      const { body } = DIALECTS[name].encodeChat(
        messages.readRequest({ model: 'm', max_tokens: 9, messages: history }),
        {
          ...{ model: PROVIDERS[name].model, hosting: 'native', outputTokensMax: null },
          unsupported: (param: string) => expect.unreachable(param),
        },
      )
      return (body.messages as { content: unknown }[]).map(({ content: blocks }) => blocks)
    }
    expect(turnsOf([{ type: 'text', text: 'So ' }, thought])[1]).toEqual(begun)
    expect(turnsOf([thought])).toHaveLength(1)
  },
)

/** As the official SDKs put a stream together: what has the same index is one. */
function assembled(deltas: readonly JsonObject[]): JsonObject {
  const message: Record<string, unknown> & { content: string | null } = { role: 'assistant', content: null }
  for (const { content, reasoning_details, tool_calls } of deltas) {
    if (content) message.content = (message.content ?? '') + content
    for (const [name, pieces] of Object.entries({ reasoning_details, tool_calls })) {
      for (const piece of (pieces ?? []) as ({ index: number } & JsonObject)[]) {
        message[name] ??= []
        const list = message[name] as JsonObject[]
        list[piece.index] = grown(list[piece.index] ?? {}, piece)
      }
    }
  }
  return message
}

function grown(known: JsonObject, piece: JsonObject): JsonObject {
  const made: Record<string, unknown> = { ...known }
  for (const [key, value] of Object.entries(piece)) {
    const before = made[key]
    if (before === undefined || key === 'index' || key === 'type') made[key] = value
    else if (typeof before === 'string') made[key] = before + String(value)
    else if (Array.isArray(before)) made[key] = [...before, ...(value as unknown[])]
    else made[key] = grown(before as JsonObject, value as JsonObject)
  }
  return made
}

function resultsOf(content: readonly JsonObject[]): JsonObject[] {
  return content.flatMap(({ type, id }) =>
    type === 'tool_use' ? [{ type: 'tool_result', tool_use_id: id, content: 'Rain.' }] : [],
  )
}

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
)

function framed(events: string): Uint8Array {
  const pieces = (JSON.parse(events) as [string, unknown][]).map(([value, payload]) =>
    codec.encode({
      headers: { ':event-type': { type: 'string', value }, ':message-type': { type: 'string', value: 'event' } },
      body: new TextEncoder().encode(JSON.stringify(payload)),
    }),
  )
  return new Uint8Array(Buffer.concat(pieces))
}
