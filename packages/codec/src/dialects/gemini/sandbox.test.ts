import { startSandbox } from '@nemo/sandbox/sandbox'
import { expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { StreamPart } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { SseEvents } from '../../sse-events.ts'
import { chat } from '../../surfaces/chat/chat.ts'
import { writeAnswer } from '../../surfaces/chat/write-answer.ts'
import { messages } from '../../surfaces/messages/messages.ts'
import { responses } from '../../surfaces/responses/responses.ts'
import { gemini } from './dialect.ts'

const { fixture, named } = goldensOf('gemini')
const HEADERS = { 'x-goog-api-key': 'any', authorization: 'Bearer any' }
const VERTEX = '/vertex/v1/projects/p/locations/us-east1'

// The signature of one is none of the sandbox's, and the model of another none that it has.
const ACCEPTED = named('.request.json').filter((name) => !/^(signed-calls|signed-thoughts|streamed)\./.test(name))

test('a provider that is as strict as Google takes what we write, and its stream says what its answer says', async () => {
  const sandbox = await startSandbox({ config: { reasoning_tokens: 3 } })
  try {
    for (const name of ACCEPTED) {
      const { path, body } = JSON.parse(fixture(name)) as { path: string; body: JsonObject }
      const url = `${sandbox.origin}${path.startsWith('/publishers') ? VERTEX : '/gemini/v1beta'}${path}`
      const post = (to: string) => fetch(to, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) })
      const response = await post(url)
      const json = (await response.json()) as JsonObject
      expect(response.status, `${name}: ${JSON.stringify(json)}`).toBe(200)
      const answer = gemini.decodeChat(json)
      const events = new SseEvents()
      const decoder = gemini.decodeStream()
      const streamed = await post(url.replace(':generateContent', ':streamGenerateContent?alt=sse'))
      const bytes = new Uint8Array(await streamed.arrayBuffer())
      const parts = [...events.push(bytes), ...events.end()].flatMap((event) => decoder.decode(event))
      expect(decoder.isWhole, name).toBe(true)
      for (const choice of answer.choices) {
        const text = (type: StreamPart['type']) =>
          parts
            .map((part) =>
              part.type === type && 'text' in part && part.choice === choice.index ? (part.text ?? '') : '',
            )
            .join('')
        expect(text('text'), name).toBe(byKind(choice.content).text ?? '')
        expect(text('reasoning'), name).toBe(
          byKind(choice.content)
            .reasoning.map((block) => block.text ?? '')
            .join(''),
        )
        expect(
          parts.find((part) => part.type === 'finish' && part.choice === choice.index),
          name,
        ).toMatchObject({ reason: choice.finish })
      }
      expect(
        parts.findLast(({ type }) => type === 'usage'),
        name,
      ).toMatchObject({ usage: answer.usage })
    }
  } finally {
    await sandbox.close()
  }
})

test.each(['native', 'vertex'] as const)(
  'calls and their signatures go through chat completions and back: %s',
  async (hosting) => {
    const sandbox = await startSandbox({ config: { tool_calls: 3, reasoning_tokens: 4 } })
    const tools = ['now', 'then'].map((name) => ({
      type: 'function',
      function: { name, parameters: { type: 'object', properties: {} } },
    }))
    const target: Target = {
      model: 'gemini-3-pro',
      hosting,
      outputTokensMax: null,
      unsupported: () => expect.unreachable(),
    }
    const ask = async (messages: JsonObject[]) => {
      const request = chat.readRequest({ messages, tools, reasoning_effort: 'low' })
      const { path, body } = gemini.encodeChat(request, target)
      const url = `${sandbox.origin}${hosting === 'vertex' ? VERTEX : '/gemini/v1beta'}${path}`
      const response = await fetch(url, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) })
      const answer = gemini.decodeChat((await response.json()) as JsonObject)
      const context = { id: 'x', model: 'm', createdAt: 1, request, body: {} }
      return (writeAnswer(answer, context).choices as { message: JsonObject; finish_reason: string }[])[0]!
    }
    try {
      const user = { role: 'user', content: 'What time is it?' }
      const first = await ask([user])
      expect(first.finish_reason).toBe('tool_calls')
      const calls = first.message.tool_calls as { id: string; extra_content?: object }[]
      expect(calls[0]?.extra_content).toEqual({ google: { thought_signature: expect.any(String) } })
      // Whatever the order in which the results came.
      const results = calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'Noon.' })).reverse()
      expect((await ask([user, first.message, ...results])).finish_reason).toBe('stop')
      // What another provider called has no signature.
      const foreign = {
        ...first.message,
        reasoning_details: undefined,
        tool_calls: calls.map(({ extra_content: _, ...call }) => call),
      }
      expect((await ask([user, foreign, ...results])).finish_reason).toBe('stop')
      await expect(ask([user, first.message, ...results.slice(1)])).rejects.toThrow(/number of function response parts/)
    } finally {
      await sandbox.close()
    }
  },
)

test.each([messages, responses])(
  'a call’s signature comes back through an API that has no place for one: $name',
  async (surface) => {
    const sandbox = await startSandbox({ config: { tool_calls: 2, reasoning_tokens: 4 } })
    const target: Target = {
      model: 'gemini-3-pro',
      hosting: 'native',
      outputTokensMax: null,
      unsupported: () => expect.unreachable(),
    }
    const ask = async (body: JsonObject) => {
      const request = surface.readRequest(body)
      const { path, body: sent } = gemini.encodeChat(request, target)
      const url = `${sandbox.origin}/gemini/v1beta${path}`
      const response = await fetch(url, { method: 'POST', headers: HEADERS, body: JSON.stringify(sent) })
      const answer = gemini.decodeChat((await response.json()) as JsonObject)
      const written = surface.writeAnswer(answer, { id: 'x', model: 'm', createdAt: 1, request, body })
      return { sent, written }
    }
    try {
      const { written } = await ask(surface === messages ? MESSAGES : RESPONSES)
      const again = surface === messages ? againOf(written) : againWith(written)
      const { sent } = await ask(again)
      const signed = (sent.contents as { parts: { thoughtSignature?: string }[] }[])[1]!.parts
      const signatures = signed.map(({ thoughtSignature }) => thoughtSignature)
      expect(signatures.filter((one) => one !== undefined)).toEqual([expect.stringMatching(/^[A-Za-z0-9+/]{40,}=*$/)])
    } finally {
      await sandbox.close()
    }
  },
)

const parameters = { type: 'object', properties: {} }
const MESSAGES: JsonObject = {
  ...{ model: 'm', max_tokens: 200, messages: [{ role: 'user', content: 'What time is it?' }] },
  tools: ['now', 'then'].map((name) => ({ name, input_schema: parameters })),
}
const RESPONSES: JsonObject = {
  ...{ model: 'm', input: [{ role: 'user', content: 'What time is it?' }], include: ['reasoning.encrypted_content'] },
  ...{ store: false, tools: ['now', 'then'].map((name) => ({ type: 'function', name, parameters, strict: false })) },
}

function againOf({ content }: JsonObject): JsonObject {
  const uses = (content as JsonObject[]).filter(({ type }) => type === 'tool_use')
  const results = uses.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: 'Noon.' }))
  const turns = [
    { role: 'assistant', content },
    { role: 'user', content: results },
  ]
  return { ...MESSAGES, messages: [...(MESSAGES.messages as JsonObject[]), ...turns] }
}

function againWith({ output }: JsonObject): JsonObject {
  const items = output as JsonObject[]
  const calls = items.filter(({ type }) => type === 'function_call')
  const results = calls.map(({ call_id }) => ({ type: 'function_call_output', call_id, output: 'Noon.' }))
  return { ...RESPONSES, input: [...(RESPONSES.input as JsonObject[]), ...items, ...results] }
}
