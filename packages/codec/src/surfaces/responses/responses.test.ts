import { expect, test } from 'vitest'
import type { JsonObject } from '../../chat/request.ts'
import { responses } from './responses.ts'

const read = (more: JsonObject) => responses.readRequest({ model: 'm', input: 'Hi.', ...more })
const paramsOf = (more: JsonObject) => read(more).untranslatable!.map(({ param }) => param)

test.each<[JsonObject, object]>([
  [{ tool_choice: 'required' }, { type: 'required' }],
  [{ tool_choice: { type: 'custom', name: 'a' } }, { type: 'function', name: 'a' }],
  [
    { tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'a' }] } },
    { type: 'allowed', mode: 'auto', names: ['a'] },
  ],
])('%j is understood', (more, toolChoice) => {
  expect(read(more)).toMatchObject({ toolChoice, untranslatable: [] })
})

test.each<[JsonObject, string[], object | null]>([
  [{ tool_choice: { type: 'web_search' } }, ['tool_choice'], null],
  [{ tool_choice: { type: 'mcp', server_label: 'wiki' } }, ['tool_choice'], null],
  [{ tool_choice: 'of_tomorrow' }, ['tool_choice'], null],
  [
    { tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'web_search' }, { name: 'a' }] } },
    ['tool_choice.tools[0]'],
    { type: 'allowed', mode: 'auto', names: ['a'] },
  ],
  [
    { tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'image_generation' }] } },
    ['tool_choice.tools[0]'],
    { type: 'none' },
  ],
  [{ reasoning: { effort: 'max' } }, ['reasoning.effort'], null],
  [{ text: { format: { type: 'grammar' } } }, ['text.format.type'], null],
  [{ input: [{ role: 'user', content: [{ type: 'input_scent' }] }] }, ['input[0].content[0]'], null],
  [{ input: [{ role: 'assistant', content: [{ type: 'output_scent' }] }] }, ['input[0].content[0]'], null],
])('%j is noted as what can’t be translated', (more, params, toolChoice) => {
  expect(paramsOf(more)).toEqual(params)
  expect(read(more).toolChoice).toEqual(toolChoice)
})

const call = { call_id: 'c', status: 'completed' }

test.each([
  ...['web_search_call', 'file_search_call', 'code_interpreter_call', 'local_shell_call', 'local_shell_call_output'],
  ...['shell_call', 'shell_call_output', 'apply_patch_call', 'apply_patch_call_output', 'tool_search_call'],
  ...['tool_search_output', 'computer_call', 'computer_call_output', 'compaction', 'mcp_list_tools', 'mcp_call'],
  ...['mcp_approval_request', 'mcp_approval_response', 'image_generation_call', 'of_tomorrow'],
])('an item of type %s is noted as what can’t be translated', (type) => {
  expect(
    paramsOf({
      input: [
        { role: 'user', content: 'Hi.' },
        { type, ...call },
      ],
    }),
  ).toEqual(['input[1]'])
})

test('pictures in items aren’t read by their bytes', () => {
  const image_url = `data:image/png;base64,${'iVBORw0KGgo='.repeat(1000)}`
  const { untranslatable } = read({
    input: [
      { type: 'image_generation_call', id: 'ig_1', status: 'completed', result: 'iVBORw0KGgo='.repeat(1000) },
      { type: 'image_generation_call', id: 'ig_2' },
      { type: 'computer_call_output', call_id: 'c', output: { type: 'computer_screenshot', image_url } },
    ],
  })
  for (const { raw, media } of untranslatable!) {
    expect(JSON.stringify(raw)).not.toContain('iVBORw0KGgo=')
    expect(media).toMatchObject([{ type: 'image' }])
  }
})

test.each([{ type: 'item_reference', id: 'msg_1' }, { id: 'msg_1' }, { type: null, id: 'rs_1' }])(
  'what only refers to an item can’t be held for: %j',
  (item) => {
    const given = { input: [{ role: 'user', content: 'Hi.' }, item] }
    expect(() => read(given)).toThrow(expect.objectContaining({ status: 400, param: 'input[1]' }))
  },
)

test('items bring no tool that would be billed and isn’t held for', () => {
  const found = (...tools: JsonObject[]) => ({ input: [{ type: 'tool_search_output', call_id: 's', tools }] })
  const refused = expect.objectContaining({ status: 400, param: 'input[0]' })
  expect(() => read(found({ type: 'web_search' }))).toThrow(refused)
  expect(() => read(found({ type: 'namespace', name: 'a', tools: [{ type: 'code_interpreter' }] }))).toThrow(refused)
  const plain = [{ type: 'function', name: 'a' }, { type: 'mcp', server_label: 'wiki' }, { name: 'b' }]
  expect(paramsOf(found(...plain))).toEqual(['input[0]'])
})
