import { expect, test } from 'vitest'
import { topLevelMembers } from '../json-members.ts'
import { findProvider } from '../providers.ts'
import { messages } from '../surfaces/messages/messages.ts'
import { passMessages } from './messages.ts'

/** What goes to Anthropic of a body. */
function sent(text: string): string {
  const body = Buffer.from(text)
  const fields = JSON.parse(text)
  const provider = findProvider('anthropic')!
  const never = (param: string) => expect.fail(param)
  return passMessages(
    {
      ...{ endpoint: 'chat', surface: messages, body, members: topLevelMembers(body), edits: new Map(), fields },
      ...{
        headers: {},
        chat: () => messages.readRequest(fields),
        streamed: false,
        choices: 1,
        inputTokens: 1,
        mayBeKept: false,
      },
      ...{ id: 'x'.repeat(24), createdAt: 1 },
    },
    {
      ...{ provider, model: 'claude', hosting: provider.hosting, outputTokensMax: null, cap: null, reasons: false },
      ...{ unsupported: never, leftOut: never },
    },
  ).body.toString()
}

const own = '{"name": "f", "input_schema": {"properties": {"n": {"maximum": 9223372036854775807}}}}'
const search = '{"type":"web_search_20250305","name":"web_search"}'
const bounded = '{"type":"web_search_20250305","name":"web_search","max_uses":10}'

test.each([
  [`[${own}, ${search} , ${own}]`, `[${own},${bounded},${own}]`],
  [`[${own},\n${bounded}]`, `[${own},\n${bounded}]`],
  [`[ ${own} ]`, `[ ${own} ]`],
  ['[]', '[]'],
])('beside a search that is told an end every tool stays as it came: %s', (tools, kept) => {
  expect(sent(`{"model":"m","tools":${tools},"max_tokens":9}`)).toBe(
    `{"model":"claude","tools":${kept},"max_tokens":9}`,
  )
})
