import { Mistral } from '@mistralai/mistralai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../sandbox.ts'

/** Mistral's API is OpenAI's dialect: its own SDK, unmodified, reads what the sandbox says. */
let sandbox: Sandbox
let client: Mistral

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new Mistral({ apiKey: 'any', serverURL: sandbox.origin })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

const ask = { model: 'sandbox-chat', messages: [{ role: 'user' as const, content: 'Say something about rivers.' }] }
const weather = {
  type: 'function' as const,
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}

test('a stream says what the plain answer says', async () => {
  const plain = await client.chat.complete(ask)
  let text = ''
  let finish: string | null = null
  for await (const { data } of await client.chat.stream(ask)) {
    const [choice] = data.choices
    text += choice?.delta.content ?? ''
    finish = choice?.finishReason ?? finish
  }
  expect(plain.choices[0]?.message?.content).toBe(text)
  expect([plain.choices[0]?.finishReason, finish]).toEqual(['stop', 'stop'])
  expect(plain.usage.completionTokens).toBeGreaterThan(0)
})

test('a tool is called', async () => {
  const answer = await client.chat.complete({ ...ask, tools: [weather] })
  expect(answer.choices[0]?.message?.toolCalls?.[0]?.function.name).toBe('weather')
})
