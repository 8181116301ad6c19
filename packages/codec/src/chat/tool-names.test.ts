import { EventStreamCodec } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../fixtures/goldens.ts'
import { MATRIX } from '../../fixtures/matrix.ts'
import { DIALECTS } from '../dialects.ts'
import { topLevelMembers } from '../json-members.ts'
import { findProvider } from '../providers.ts'
import { chat } from '../surfaces/chat/chat.ts'
import { responses } from '../surfaces/responses/responses.ts'
import { wireOf } from '../wires.ts'
import type { JsonObject } from './request.ts'
import { fitNames } from './tool-names.ts'

const USER = { role: 'user', content: 'Hi.' }
const RULES = Object.values(DIALECTS).map(({ toolNames }) => toolNames)

function requestOf(names: readonly string[]) {
  return chat.readRequest({
    messages: [USER],
    tools: names.map((name) => ({ type: 'function', function: { name } })),
  })
}

function fittedTo(names: readonly string[], rule: (typeof RULES)[number]) {
  const { request, originals } = fitNames(requestOf(names), rule)
  return { originals, names: request.tools.map((tool) => (tool.type === 'function' ? tool.name : '')) }
}

const LONG = 'a'.repeat(150)
const anyName = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('a.b', 'a_b', 'a b', '2nd', '-a', LONG, `${LONG}b`, `${LONG}c`, ''),
)

describe('names that a provider can’t take', () => {
  test('become such as it can, no two of them the same, and are known again', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyName, { maxLength: 12 }), fc.constantFrom(...RULES), (names, rule) => {
        const fitted = fittedTo(names, rule)
        expect(new Set(fitted.names).size).toBe(names.length)
        expect(fitted.names.map((name) => fitted.originals.get(name) ?? name)).toEqual(names)
        for (const name of fitted.names) {
          expect(name.length).toBeGreaterThan(0)
          expect(name.length).toBeLessThanOrEqual(rule.lengthMax)
          expect(name.search(rule.outside)).toBe(-1)
        }
      }),
    )
  })

  test('are the same in every call, whatever stands beside them', () => {
    const rule = DIALECTS.openai.toolNames
    const [alone] = fittedTo([LONG], rule).names
    expect(fittedTo(['weather', 'a.b', LONG], rule).names[2]).toBe(alone)
  })

  test('leave those alone that it can', () => {
    const request = requestOf(['weather', 'get-time_2', 'x'.repeat(64)])
    expect(fitNames(request, DIALECTS.openai.toolNames).request).toBe(request)
  })

  test('make room for one that looks like theirs', () => {
    const [taken] = fittedTo([LONG], DIALECTS.openai.toolNames).names
    const { names } = fittedTo([LONG, taken!], DIALECTS.openai.toolNames)
    expect(names[1]).toBe(taken)
    expect(names[0]).not.toBe(taken)
  })
})

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
)

describe.each([
  ['anthropic', 'anthropic', 'calendar.list'],
  ['gemini', 'gemini', /^mcp__.{80,}/],
  ['converse', 'bedrock', /^mcp__.{80,}/],
  ['cohere', 'cohere', 'calendar.list'],
  ['openai', 'deepseek', /^mcp__.{80,}/],
] as const)('a caller of %s', (dialect, name, called) => {
  const { fixture } = goldensOf(dialect)
  const wire = (streamed: boolean) => {
    const fields = { model: 'm', ...MATRIX['tool-names']!.asked, stream: streamed } as JsonObject
    const body = Buffer.from(JSON.stringify(fields))
    const provider = findProvider(name)!
    const unsupported = (param: string) => expect.unreachable(param)
    return wireOf(
      {
        ...{ endpoint: 'chat', surface: responses, body, members: topLevelMembers(body), edits: new Map(), fields },
        ...{
          headers: {},
          chat: () => responses.readRequest(fields),
          streamed,
          choices: 1,
          inputTokens: 1,
          mayBeKept: false,
        },
        ...{ id: 'x'.repeat(24), createdAt: 1 },
      },
      {
        ...{ provider, model: 'm', hosting: provider.hosting, outputTokensMax: 64, cap: null, reasons: false },
        ...{ unsupported, leftOut: unsupported },
      },
    )
  }
  const calls = ({ output }: JsonObject) => (output as JsonObject[]).map((item) => [item.type, item.name])
  const expected = [
    ['function_call', typeof called === 'string' ? called : expect.stringMatching(called)],
    ['function_call', 'weather'],
  ]

  test('hears of a call by the name that it gave', () => {
    const answer = fixture('tool-names.response.json')
    const { bytes } = wire(false).readAnswer(Buffer.from(answer), JSON.parse(answer))
    expect(calls(JSON.parse(bytes.toString()))).toEqual(expected)
  })

  test('hears of a streamed call by the name that it gave', () => {
    const stream = wire(true).openStream()
    const bytes =
      dialect === 'converse' ? framed(fixture('tool-names.events.json')) : Buffer.from(fixture('tool-names.stream.txt'))
    const said = stream.push(bytes).toString() + stream.end().toString()
    expect(stream.done).toBe(true)
    const text = said + stream.finish({ usage: {}, wantsUsage: false, cost: null, early: null })
    const last = JSON.parse(text.trimEnd().split('data: ').at(-1)!) as { response: JsonObject }
    expect(calls(last.response)).toEqual(expected)
    expect(text).not.toMatch(/_[0-9a-f]{8}"/)
  })
})

function framed(events: string): Buffer {
  const pieces = (JSON.parse(events) as [string, unknown][]).map(([value, payload]) =>
    codec.encode({
      headers: { ':event-type': { type: 'string', value }, ':message-type': { type: 'string', value: 'event' } },
      body: new TextEncoder().encode(JSON.stringify(payload)),
    }),
  )
  return Buffer.concat(pieces)
}
