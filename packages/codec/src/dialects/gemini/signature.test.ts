import { expect, test } from 'vitest'
import type { Target } from '../../dialect.ts'
import { chat } from '../../surfaces/chat/chat.ts'
import { anthropic } from '../anthropic/dialect.ts'
import { converse } from '../converse/dialect.ts'
import { gemini } from './dialect.ts'
import { googleSignature, markSignature } from './signature.ts'

test('a signature comes back as Google wrote it, and only if Google did', () => {
  expect(googleSignature(markSignature('c2ln'))).toBe('c2ln')
  expect(googleSignature('EqQBCgIYAhIM')).toBeNull()
  expect(googleSignature(markSignature(null))).toBeNull()
})

test.each([
  { dialect: anthropic, model: 'claude-sonnet-4-5', hosting: 'native', own: 'EqQBCgIYAhIM' },
  { dialect: converse, model: 'anthropic.claude-sonnet-4-5', hosting: 'bedrock', own: 'EqQBCgIYAhIM' },
  { dialect: gemini, model: 'gemini-2.5-pro', hosting: 'native', own: 'google:c2ln' },
] as const)('$dialect.name is sent what was signed for it, and not what was signed for others', (to) => {
  const { dialect, model, hosting, own } = to
  const target: Target = { model, hosting, outputTokensMax: 9_000, unsupported: () => expect.unreachable() }
  const user = { role: 'user', content: 'Hi.' }
  const reasoning_details = ['EqQBCgIYAhIM', 'google:c2ln'].map((signature) => ({ type: 'reasoning.text', signature }))
  const said = { role: 'assistant', content: 'Yes?', reasoning_details }
  const { body } = dialect.encodeChat(chat.readRequest({ messages: [user, said, user] }), target)
  const signatures = [...JSON.stringify(body).matchAll(/ignature":"([^"]*)"/g)].map(([, signature]) => signature)
  expect(signatures).toEqual([own.replace('google:', '')])
})
