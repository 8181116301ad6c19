import { expect, test } from 'vitest'
import { Untranslated } from '../../chat/untranslatable.ts'
import { readInput } from './read-input.ts'

const others = () => new Untranslated(() => false)

test('what is said behind a call stands in one turn with it, and behind it, so that the output follows', () => {
  const messages = readInput(
    {
      input: [
        { role: 'user', content: 'Weather?' },
        { type: 'function_call', call_id: 'a', name: 'weather', arguments: '{}' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.' }] },
        { type: 'function_call_output', call_id: 'a', output: 'Rain.' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'It rains.' }] },
      ],
    },
    others(),
  )
  expect(messages).toMatchObject([
    { role: 'user' },
    { role: 'assistant', content: [{ type: 'call', id: 'a' }, { text: 'I look.' }] },
    { role: 'tool', toolCallId: 'a' },
    { role: 'assistant', content: [{ text: 'It rains.' }] },
  ])
})
