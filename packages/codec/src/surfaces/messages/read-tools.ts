import type { JsonObject, Tool, ToolChoice } from '../../chat/request.ts'
import type { Untranslated } from '../../chat/untranslatable.ts'
import { arrayAt, objectAt, readCacheControl, readFlag, readObject, readText, textAt } from '../../fields.ts'

/**
 * https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools. Tools with a type of their own run at Anthropic, or are known to its models alone. How a tool's
 * arguments are streamed and when it is loaded are hints, and stay behind.
 */
export function readTools(body: JsonObject): Tool[] {
  if (body.tools == null) return []
  return arrayAt(body.tools, 'tools').map((given, i) => {
    const path = `tools[${i}]`
    const tool = objectAt(given, path)
    if (tool.type != null && tool.type !== 'custom') return { type: 'other', of: 'anthropic', raw: tool }
    return {
      type: 'function',
      name: textAt(tool.name, `${path}.name`),
      description: readText(tool, 'description', `${path}.description`),
      parameters: readObject(tool, 'input_schema', `${path}.input_schema`),
      strict: readFlag(tool, 'strict', `${path}.strict`),
      cache: readCacheControl(tool, path),
    }
  })
}

/** https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools#controlling-claudes-output */
export function readToolChoice(
  body: JsonObject,
  others: Untranslated,
): { choice: ToolChoice | null; isSingle: boolean } | null {
  const given = readObject(body, 'tool_choice')
  if (given === null) return null
  const isSingle = readFlag(given, 'disable_parallel_tool_use', 'tool_choice.disable_parallel_tool_use') ?? false
  switch (others.known(given.type, ['auto', 'any', 'tool', 'none'], 'tool_choice.type')) {
    case null:
      return { choice: null, isSingle }
    case 'auto':
      return { choice: { type: 'auto' }, isSingle }
    case 'any':
      return { choice: { type: 'required' }, isSingle }
    case 'none':
      return { choice: { type: 'none' }, isSingle: false }
    case 'tool':
      return { choice: { type: 'function', name: textAt(given.name, 'tool_choice.name') }, isSingle }
  }
}
