import { expect, test } from 'vitest'
import { embeddingTokens, promptTokens, structuredPieces } from './tokens.ts'

test('a prompt costs a quarter of its UTF-8 bytes, three a message, and three', () => {
  expect(promptTokens({ messages: [{ role: 'user', content: 'hello' }] })).toBe(2 + 3 + 3)
  expect(promptTokens({ messages: [{ role: 'user', content: '🙂🙂' }] })).toBe(2 + 3 + 3)
  expect(
    promptTokens({
      messages: [
        { role: 'system', content: 'abcd' },
        { role: 'user', content: 'e' },
      ],
    }),
  ).toBe(2 + 6 + 3)
})

test('images cost 85 each, and their bytes nothing', () => {
  const content = [
    { type: 'text', text: 'what is this' },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(10_000)}` } },
  ]
  expect(promptTokens({ messages: [{ role: 'user', content }] })).toBe(3 + 3 + 3 + 85)
})

test('tools and the calls of earlier turns are part of the prompt', () => {
  const tools = [{ type: 'function', function: { name: 'f' } }]
  const bytes = JSON.stringify(tools).length + 'f{}'.length
  const messages = [{ role: 'assistant', content: null, tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }]
  expect(promptTokens({ messages, tools })).toBe(Math.ceil(bytes / 4) + 6)
})

test('a text costs at least one token to embed, an array of tokens its length', () => {
  expect(embeddingTokens(['a', 'abcdefgh', [1, 2, 3]])).toBe(1 + 2 + 3)
})

test('structured pieces are four characters long and never split one', () => {
  expect(structuredPieces('{"a":"🙂🙂🙂\n"}')).toEqual(['{"a"', ':"🙂🙂', '🙂\n"}'])
})
