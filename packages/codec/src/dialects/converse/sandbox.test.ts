import { startSandbox } from '@nemo/sandbox/sandbox'
import { expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import type { JsonObject } from '../../chat/request.ts'
import { EventStreamEvents } from '../../event-stream.ts'
import { converse } from './dialect.ts'

const { fixture, named } = goldensOf('converse')
const HEADERS = { authorization: 'Bearer any' }

// The signatures of these are none of the sandbox's.
const ACCEPTED = named('.request.json').filter((name) => !/^(signed-thoughts|interleaved)\./.test(name))

test('a provider that is as strict as Bedrock takes what we write, and its stream says what its answer says', async () => {
  const sandbox = await startSandbox({ config: { reasoning_tokens: 3, tool_calls: 2, cached_tokens: 2 } })
  try {
    for (const name of ACCEPTED) {
      const given = JSON.parse(fixture(name)) as { path?: string; body?: JsonObject }
      const body = given.body ?? given
      const post = (verb: string) =>
        fetch(`${sandbox.origin}/bedrock/model/sandbox-claude/${verb}`, {
          method: 'POST',
          headers: HEADERS,
          body: JSON.stringify(body),
        })
      const response = await post('converse')
      const json = (await response.json()) as JsonObject
      expect(response.status, `${name}: ${JSON.stringify(json)}`).toBe(200)
      const answer = converse.decodeChat(json)
      const events = new EventStreamEvents()
      const decoder = converse.decodeStream()
      const bytes = new Uint8Array(await (await post('converse-stream')).arrayBuffer())
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

test.each([{ stream_error_after: 3 }, { cut_at_byte: 900 }, { malformed: true }])(
  'a stream that its provider doesn’t end is never taken for a whole one: %j',
  async (config) => {
    const sandbox = await startSandbox({ config })
    const url = `${sandbox.origin}/bedrock/model/sandbox-claude/converse-stream`
    const body = JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'Hi.' }] }] })
    const response = await fetch(url, { method: 'POST', headers: HEADERS, body })
    const events = new EventStreamEvents()
    const decoder = converse.decodeStream()
    try {
      for await (const bytes of response.body!) for (const event of events.push(bytes)) decoder.decode(event)
    } catch {
      // The connection was cut, or a message is none.
    }
    expect(decoder.done || decoder.isWhole).toBe(false)
    await sandbox.close()
  },
)
