import { startSandbox } from '@nemo/sandbox/sandbox'
import { expect, test } from 'vitest'
import { ENCODED } from '../../../fixtures/anthropic/encoded-bodies.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import type { JsonObject } from '../../chat/request.ts'
import { SseEvents } from '../../sse-events.ts'
import { chat } from '../../surfaces/chat/chat.ts'
import { writeAnswer } from '../../surfaces/chat/write-answer.ts'
import { anthropic } from './dialect.ts'

const HEADERS = { 'x-api-key': 'any', 'anthropic-version': '2023-06-01' }

test('a provider that is as strict as Anthropic takes what we write, and its stream says what its answer says', async () => {
  const sandbox = await startSandbox()
  const post = (body: JsonObject) =>
    fetch(`${sandbox.origin}/anthropic/v1/messages`, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) })
  try {
    // The signatures of that one are none of the sandbox's.
    const { 'signed-thoughts': _, ...bodies } = ENCODED
    for (const [name, body] of Object.entries(bodies)) {
      const response = await post({ ...body, stream: false })
      const json = (await response.json()) as JsonObject
      expect(response.status, `${name}: ${JSON.stringify(json)}`).toBe(200)
      const answer = anthropic.decodeChat(json)
      const events = new SseEvents()
      const decoder = anthropic.decodeStream()
      const bytes = new Uint8Array(await (await post({ ...body, stream: true })).arrayBuffer())
      const parts = [...events.push(bytes), ...events.end()].flatMap((event) => decoder.decode(event))
      expect(decoder.done).toBe(true)
      const text = (type: StreamPart['type']) =>
        parts.map((part) => (part.type === type && 'text' in part ? (part.text ?? '') : '')).join('')
      const choice = answer.choices[0]!
      const said = byKind(choice.content)
      expect(text('text'), name).toBe(said.text ?? '')
      expect(text('reasoning'), name).toBe(said.reasoning.map((block) => block.text).join(''))
      expect(
        parts.findLast(({ type }) => type === 'usage'),
        name,
      ).toMatchObject({ usage: answer.usage })
      expect(
        parts.findLast(({ type }) => type === 'finish'),
        name,
      ).toMatchObject({ reason: choice.finish })
    }
  } finally {
    await sandbox.close()
  }
})

test('thoughts go through chat completions and back, and Anthropic knows them again', async () => {
  const sandbox = await startSandbox()
  const tools = [{ type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {} } } }]
  const target = {
    model: 'claude-sonnet-4-5',
    hosting: 'native' as const,
    outputTokensMax: null,
    unsupported: () => expect.unreachable(),
  }
  const ask = async (messages: JsonObject[]) => {
    const request = chat.readRequest({ messages, tools, reasoning_effort: 'low' })
    const { path, body, headers } = anthropic.encodeChat(request, target)
    const url = `${sandbox.origin}/anthropic${path}`
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...HEADERS, ...headers },
      body: JSON.stringify(body),
    })
    const answer = anthropic.decodeChat((await response.json()) as JsonObject)
    const context = { id: 'x', model: 'm', createdAt: 1, request, body: {} }
    return (writeAnswer(answer, context).choices as { message: JsonObject; finish_reason: string }[])[0]!
  }
  try {
    const user = { role: 'user', content: 'What time is it?' }
    const first = await ask([user])
    expect(first.finish_reason).toBe('tool_calls')
    expect(first.message.reasoning_details).toEqual([expect.objectContaining({ signature: expect.any(String) })])
    const [call] = first.message.tool_calls as { id: string }[]
    const result = { role: 'tool', tool_call_id: call!.id, content: 'Noon.' }
    expect((await ask([user, first.message, result])).finish_reason).toBe('stop')
    const altered = [{ ...(first.message.reasoning_details as JsonObject[])[0], text: 'Something else.' }]
    await expect(ask([user, { ...first.message, reasoning_details: altered }, result])).rejects.toThrow(/signature/)
  } finally {
    await sandbox.close()
  }
})
