import { expect, test } from 'vitest'
import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import { chat } from '../chat/chat.ts'
import { responses } from './responses.ts'

const request = chat.readRequest({ messages: [{ role: 'user', content: 'Hi.' }] })

function written(parts: readonly StreamPart[]): JsonObject[] {
  const writer = responses.writeStream({ id: 'x'.repeat(24), model: 'm', createdAt: 1, request, body: {} })
  // Each part by itself, as they come.
  const text = parts.map((part) => writer.write([part])).join('')
  const end = writer.end({ usage: {}, wantsUsage: false, cost: null, early: null })
  return (text + end).split('\n').flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice(6))] : []))
}

const call = (at: number, id: string): StreamPart => ({
  ...{ type: 'tool-call', choice: 0, call: at, id, name: 'f', signature: null },
})
const json = (at: number, piece: string): StreamPart => ({ type: 'arguments', choice: 0, call: at, json: piece })
const finish: StreamPart = { type: 'finish', choice: 0, reason: 'tool_calls', stopSequence: null }

test('arguments that come by turns stay with their calls', () => {
  const events = written([
    call(0, 'a'),
    call(1, 'b'),
    ...[json(0, '{"x":'), json(1, '{"y":'), json(0, '1}'), json(1, '2}')],
    finish,
  ])
  const deltas = events.filter(({ type }) => type === 'response.function_call_arguments.delta')
  expect(deltas.map(({ output_index, delta }) => [output_index, delta])).toEqual([
    ...[
      [0, '{"x":'],
      [1, '{"y":'],
    ],
    ...[
      [0, '1}'],
      [1, '2}'],
    ],
  ])
  const expected = [
    { call_id: 'a', arguments: '{"x":1}' },
    { call_id: 'b', arguments: '{"y":2}' },
  ]
  const done = events.filter(({ type }) => type === 'response.output_item.done')
  expect(done.map(({ output_index, item }) => [output_index, item])).toMatchObject(expected.map((one, i) => [i, one]))
  expect(events.at(-1)).toMatchObject({ type: 'response.completed', response: { output: expected } })
})

test('a call that is whole is done before the next begins', () => {
  const types = written([call(0, 'a'), json(0, '{}'), call(1, 'b'), json(1, '{}'), finish]).map(({ type }) => type)
  expect(types.indexOf('response.output_item.done')).toBeLessThan(types.lastIndexOf('response.output_item.added'))
})

test('a text has its own citations, and none of another before it', () => {
  const text = (said: string): StreamPart => ({ type: 'text', choice: 0, text: said })
  const cited = {
    type: 'url_citation',
    url_citation: { url: 'https://a.example', title: 'A', start_index: 0, end_index: 1 },
  }
  const events = written([
    text('A'),
    { type: 'annotations', choice: 0, annotations: [cited] },
    ...[call(0, 'a'), json(0, '{}')],
    text('B'),
    finish,
  ])
  const { output } = events.at(-1)!.response as { output: { content?: { annotations: unknown[] }[] }[] }
  expect(output.map(({ content }) => content?.[0]?.annotations.length)).toEqual([1, undefined, 0])
})

test('a thought that only its provider can read comes back as that provider’s: with its name where it has one, else sealed', () => {
  const thought = (block: number, id: string | null): StreamPart => ({
    ...{ type: 'reasoning', choice: 0, block, text: null, signature: null, encrypted: 'ZW5j' },
    ...(id !== null && { id }),
  })
  const events = written([thought(0, null), thought(1, 'rs_1'), { type: 'text', choice: 0, text: 'A' }, finish])
  const { output } = events.at(-1)!.response as { output: JsonObject[] }
  const [user, said] = responses.readRequest({ input: [{ role: 'user', content: 'Hi.' }, ...output] }).messages
  expect(user?.role).toBe('user')
  expect(said?.content).toMatchObject([
    { encrypted: 'ZW5j', id: null },
    { encrypted: 'ZW5j', id: expect.any(String) },
    { text: 'A' },
  ])
})

test('a place that is cited is one in the text that it is in', () => {
  const cited = (start_index: number, end_index: number) => ({
    ...{ type: 'url_citation', url_citation: { url: 'https://a.example', title: 'A', start_index, end_index } },
  })
  const thought = { type: 'reasoning', text: 'Hm.', signature: null, encrypted: null, id: null } as const
  const annotations = [cited(0, 3), cited(3, 5)]
  const content = [{ type: 'text', text: 'One' } as const, thought, { type: 'text', text: 'Two' } as const]
  const streamed = written([
    { type: 'text', choice: 0, text: 'One' },
    { type: 'annotations', choice: 0, annotations: [annotations[0]] },
    { ...thought, choice: 0, block: 0 },
    { type: 'text', choice: 0, text: 'Two' },
    { type: 'annotations', choice: 0, annotations: [annotations[1]] },
    finish,
  ])
  const choice = { index: 0, content, audio: null, finish: 'stop', stopSequence: null, logprobs: null } as const
  const answer = { id: null, model: null, createdAt: null, choices: [{ ...choice, annotations }], usage: null }
  const rest = { billedNanos: null, serviceTier: null, systemFingerprint: null }
  const context = { id: 'x'.repeat(24), model: 'm', createdAt: 1, request, body: {} }
  const whole = responses.writeAnswer({ ...answer, ...rest }, context)
  for (const { output } of [whole, streamed.at(-1)!.response as JsonObject]) {
    const texts = (output as { content?: { annotations: JsonObject[] }[] }[]).flatMap((item) => item.content ?? [])
    expect(texts.map((text) => text.annotations)).toMatchObject([
      [{ start_index: 0, end_index: 3 }],
      [{ start_index: 0, end_index: 2 }],
    ])
  }
})
