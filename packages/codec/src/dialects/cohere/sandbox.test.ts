import { startSandbox } from '@nemo/sandbox/sandbox'
import { expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import type { JsonObject } from '../../chat/request.ts'
import { SseEvents } from '../../sse-events.ts'
import { cohere } from './dialect.ts'

const { fixture, named } = goldensOf('cohere')
const HEADERS = { authorization: 'Bearer any' }

test('a provider that is as strict as Cohere takes what we write, and its stream says what its answer says', async () => {
  const sandbox = await startSandbox({ config: { reasoning_tokens: 3, tool_calls: 2, cached_tokens: 2 } })
  try {
    for (const name of named('.request.json')) {
      const { path, body } = JSON.parse(fixture(name)) as { path: string; body: JsonObject }
      const post = (stream: boolean) =>
        fetch(`${sandbox.origin}/cohere/v2${path}`, {
          method: 'POST',
          headers: HEADERS,
          body: JSON.stringify({ ...body, stream }),
        })
      const response = await post(false)
      const json = (await response.json()) as JsonObject
      expect(response.status, `${name}: ${JSON.stringify(json)}`).toBe(200)
      const answer = cohere.decodeChat(json)
      const events = new SseEvents()
      const decoder = cohere.decodeStream()
      const bytes = new Uint8Array(await (await post(true)).arrayBuffer())
      const parts = [...events.push(bytes), ...events.end()].flatMap((event) => decoder.decode(event))
      expect(decoder.done, name).toBe(true)
      const text = (type: StreamPart['type']) =>
        parts.map((part) => (part.type === type && 'text' in part ? (part.text ?? '') : '')).join('')
      const choice = answer.choices[0]!
      const said = byKind(choice.content)
      expect(text('text'), name).toBe(said.text ?? '')
      expect(text('reasoning'), name).toBe(said.reasoning.map((block) => block.text).join(''))
      expect(parts.filter(({ type }) => type === 'tool-call').length, name).toBe(said.toolCalls.length)
      expect(
        parts.find(({ type }) => type === 'finish'),
        name,
      ).toMatchObject({ reason: choice.finish })
      expect(parts.at(-1), name).toMatchObject({ type: 'usage', usage: answer.usage })
    }
  } finally {
    await sandbox.close()
  }
})

test.each([{ stream_error_after: 3 }, { cut_at_byte: 900 }, { no_done: true }])(
  'a stream that its provider doesn’t end is never taken for a whole one: %j',
  async (config) => {
    const sandbox = await startSandbox({ config })
    const body = JSON.stringify({
      model: 'sandbox-command',
      messages: [{ role: 'user', content: 'Hi.' }],
      stream: true,
    })
    const response = await fetch(`${sandbox.origin}/cohere/v2/chat`, { method: 'POST', headers: HEADERS, body })
    const events = new SseEvents()
    const decoder = cohere.decodeStream()
    try {
      for await (const bytes of response.body!) for (const event of events.push(bytes)) decoder.decode(event)
    } catch {
      // The connection was cut.
    }
    expect(decoder.done).toBe(false)
    await sandbox.close()
  },
)
