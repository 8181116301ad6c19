import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../sandbox.ts'

let sandbox: Sandbox
let client: OpenAI

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new OpenAI({ apiKey: 'sk-any', baseURL: sandbox.url, maxRetries: 0 })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

const user: OpenAI.Responses.ResponseInputItem = { role: 'user', content: 'Rivers?' }
const search = { type: 'web_search' as const }
const ask = (more: Partial<OpenAI.Responses.ResponseCreateParamsNonStreaming>) =>
  client.responses.create({ model: 'sandbox-chat', input: [user], ...more })

test('what was done with OpenAI’s own tools goes back as it came', async () => {
  const { output } = await ask({ tools: [search, { type: 'file_search', vector_store_ids: ['vs'] }] })
  expect(output.map(({ type }) => type)).toEqual(['web_search_call', 'file_search_call', 'message'])
  const { output_text } = await ask({ tools: [search], input: [user, ...output, user] })
  expect(output_text).toBeTruthy()
})

test('an item that lacks something, or that nobody knows, is refused by its name', async () => {
  const item = (given: object) => ask({ input: [user, given as OpenAI.Responses.ResponseInputItem] })
  await expect(item({ type: 'web_search_call', id: 'ws' })).rejects.toMatchObject({ param: 'input[1].action' })
  await expect(item({ type: 'of_tomorrow' })).rejects.toMatchObject({ param: 'input[1].type' })
})

test('the output of a custom tool belongs to a call', async () => {
  const call = { type: 'custom_tool_call' as const, call_id: 'c', name: 'free', input: 'x' }
  const output = { type: 'custom_tool_call_output' as const, call_id: 'c', output: 'y' }
  await expect(ask({ input: [user, call, output] })).resolves.toMatchObject({ status: 'completed' })
  await expect(ask({ input: [user, output] })).rejects.toMatchObject({ status: 400 })
})

test('a tool of OpenAI’s own can be chosen if it is there', async () => {
  const choice = (tool_choice: unknown) =>
    ask({ tools: [search], tool_choice: tool_choice as OpenAI.Responses.ToolChoiceTypes })
  const allowed = (type: string) => ({ type: 'allowed_tools', mode: 'auto', tools: [{ type }] })
  for (const chosen of [search, allowed('web_search'), 'required']) {
    await expect(choice(chosen)).resolves.toMatchObject({ status: 'completed' })
  }
  for (const chosen of [{ type: 'image_generation' }, allowed('mcp')]) {
    await expect(choice(chosen)).rejects.toMatchObject({ param: 'tool_choice' })
  }
})
