import { expect, test } from 'vitest'
import { firstEvents } from '../sse.ts'
import { endEarly } from './openai-early-end.ts'

const event = (content: string) =>
  `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content } }] })}\n\n`
const [a, b, c] = ['a', 'b', 'c'].map(event) as [string, string, string]

test.each([
  [0, ''],
  [0.3, ''],
  [0.34, a],
  [0.9, a + b],
  [1, a + b + c],
])('of the events such a part is given as is whole: %d', (part, expected) => {
  expect(firstEvents(Buffer.from(a + b + c), part).toString()).toBe(expected)
})

test('half an event is never among the first', () => {
  expect(firstEvents(Buffer.from(a + b.slice(0, 20)), 1).toString()).toBe(a)
})

test('the end is of the same answer as what came before, names every choice, and counts what was given', () => {
  const counts = { choices: 2, input: 7, output: 3, more: { nemo: { notice: 'enough' } } }
  const chunk = { id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm' }
  expect(endEarly(Buffer.from(`: a comment\n\n${a}${b}`), counts)).toEqual({
    last: {
      ...chunk,
      choices: [
        { index: 0, delta: {}, finish_reason: 'length' },
        { index: 1, delta: {}, finish_reason: 'length' },
      ],
      nemo: { notice: 'enough' },
    },
    usage: { ...chunk, choices: [], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } },
  })
})

test('the end is of the answer, and not of what Azure thinks of the prompt', () => {
  const nameless = { id: '', object: '', created: 0, model: '', choices: [], prompt_filter_results: [{}] }
  const before = Buffer.from(`data: ${JSON.stringify(nameless)}\n\n${a}`)
  const { last, usage } = endEarly(before, { choices: 1, input: 1, output: 1, more: {} })
  for (const chunk of [last, usage]) expect(chunk).toMatchObject({ id: 'x', model: 'm' })
  expect(last).not.toHaveProperty('prompt_filter_results')
})

test('what can’t be read is ended all the same', () => {
  const { last } = endEarly(Buffer.from('data: {half\n\n'), { choices: 1, input: 1, output: 1, more: {} })
  expect(last).toEqual({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, finish_reason: 'length' }] })
})
