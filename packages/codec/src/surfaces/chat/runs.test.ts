import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AnswerPart } from '../../chat/answer.ts'
import { addText } from '../../chat/content.ts'
import type { JsonObject } from '../../chat/request.ts'
import { chat } from './chat.ts'

const USER = { role: 'user', content: 'Hi.' }
const context = {
  ...{ id: 'x'.repeat(24), model: 'm', createdAt: 1, body: {} },
  request: chat.readRequest({ messages: [USER] }),
}

const thought = fc.string({ unit: 'grapheme' }).map((text): AnswerPart => {
  return { type: 'reasoning', text, signature: 's', encrypted: null, id: null }
})
const call = fc.constant<AnswerPart>({ type: 'call', id: 'c', name: 'f', arguments: '{}', signature: null })
const text = fc.string({ unit: 'grapheme', minLength: 1 }).map((said): AnswerPart => ({ type: 'text', text: said }))

/** What a caller of chat completions brings back of an answer. */
function brought(content: readonly AnswerPart[], change = (message: JsonObject) => message): AnswerPart[] {
  const { choices } = chat.writeAnswer(
    {
      ...{ id: null, model: null, createdAt: null, usage: null, billedNanos: null, serviceTier: null },
      systemFingerprint: null,
      choices: [
        { index: 0, content, audio: null, finish: 'stop', stopSequence: null, logprobs: null, annotations: null },
      ],
    },
    context,
  )
  const { message } = JSON.parse(JSON.stringify((choices as { message: JsonObject }[])[0]))
  const [, said] = chat.readRequest({ messages: [USER, change(message)] }).messages
  return (said!.content as AnswerPart[]).map((part) =>
    part.type === 'text' ? { type: 'text', text: part.text } : part,
  )
}

test('whatever stands between thoughts stands there when it comes back', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(thought, text, call), { maxLength: 12 }), thought, (parts, last) => {
      const content: AnswerPart[] = []
      for (const part of [...parts, last]) {
        if (part.type === 'text') addText(content, part.text)
        else content.push(part)
      }
      expect(brought(content)).toEqual(content)
    }),
  )
})

test('where nobody says what came before a thought, thoughts come first, then what was said, then calls', () => {
  const [one, other] = ['A', 'B'].map((said): AnswerPart => {
    return { type: 'reasoning', text: said, signature: 's', encrypted: null, id: null }
  }) as [AnswerPart, AnswerPart]
  const called: AnswerPart = { type: 'call', id: 'c', name: 'f', arguments: '{}', signature: null }
  const said: AnswerPart = { type: 'text', text: 'Hi.' }
  const forget = (message: JsonObject) => ({
    ...message,
    reasoning_details: (message.reasoning_details as JsonObject[]).map(({ after: _, ...detail }) => detail),
  })
  expect(brought([one, called, said, other])).toEqual([one, called, said, other])
  expect(brought([one, called, said, other], forget)).toEqual([one, other, said, called])
})

test('what is no count says nothing', () => {
  for (const after of ['3', [1.5], [-1], [null], {}]) {
    const details = [{ type: 'reasoning.text', text: 'A', signature: 's', after }]
    const message = { role: 'assistant', content: 'Hi.', reasoning_details: details }
    const [, said] = chat.readRequest({ messages: [USER, message] }).messages
    expect(said!.content.map(({ type }) => type)).toEqual(['reasoning', 'text'])
  }
})

test.each([
  ['a part each', Array.from({ length: 200_000 }, () => ({ type: 'text', text: 'a' })), [1]],
  ['a letter each of one part', 'a'.repeat(200_000), [1]],
  ['all of them before the first', Array.from({ length: 200_000 }, () => ({ type: 'text', text: 'a' })), [200_000]],
])('200,000 thoughts and as many texts are read: %s', (_, content, after) => {
  const details = Array.from({ length: 200_000 }, () => ({ type: 'reasoning.text', text: 'A', signature: 's', after }))
  const message = { role: 'assistant', content, reasoning_details: details }
  const [, said] = chat.readRequest({ messages: [USER, message] }).messages
  const types = said!.content.map(({ type }) => type)
  expect(types).toHaveLength(400_000)
  expect(types[0]).toBe('text')
  expect(types.at(-1)).toBe('reasoning')
})

test('200,000 calls stand before their thoughts', () => {
  const asked = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
  const thought = { type: 'reasoning.text', text: 'A', signature: 's', after: [0, 1] }
  const message = {
    role: 'assistant',
    content: null,
    tool_calls: Array.from({ length: 200_000 }, () => asked),
    reasoning_details: Array.from({ length: 200_000 }, () => thought),
  }
  const [, said] = chat.readRequest({ messages: [USER, message] }).messages
  expect(said!.content.slice(-2).map(({ type }) => type)).toEqual(['call', 'reasoning'])
})
