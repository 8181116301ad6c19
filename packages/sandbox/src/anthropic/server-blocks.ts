import { isObject, type JsonObject } from '../json.ts'
import { Refusal } from '../refusal.ts'
import type { Turn } from './conversation.ts'
import { isSealed } from './thinking.ts'

/** What Anthropic's servers did for the model before, which goes back as it came (https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools, …/mcp-connector, …/build-with-claude/compaction). */
export const serverBlocks = [
  ...['server_tool_use', 'web_search_tool_result', 'web_fetch_tool_result', 'code_execution_tool_result'],
  ...['bash_code_execution_tool_result', 'text_editor_code_execution_tool_result', 'tool_search_tool_result'],
  ...['mcp_tool_use', 'mcp_tool_result', 'compaction'],
]

const names = [
  ...['web_search', 'web_fetch', 'code_execution', 'bash_code_execution', 'text_editor_code_execution'],
  ...['tool_search_tool_regex', 'tool_search_tool_bm25'],
]

export function isServerResult({ type }: JsonObject): boolean {
  return String(type).endsWith('_tool_result')
}

/** Throws the 400 that Anthropic would. */
export function checkServerBlock(block: JsonObject, path: string): void {
  const { type, id, name, input, content } = block
  if (type === 'server_tool_use') {
    if (!/^srvtoolu_[a-zA-Z0-9_]+$/.test(String(id))) {
      throw new Refusal(400, `${path}.server_tool_use.id: String should match pattern '^srvtoolu_[a-zA-Z0-9_]+$'`)
    }
    if (!names.includes(String(name))) {
      throw new Refusal(400, `${path}.server_tool_use.name: Input should be one of ${names.join(', ')}`)
    }
    if (!isObject(input)) throw new Refusal(400, `${path}.server_tool_use.input: Input should be a valid dictionary`)
  }
  if (isServerResult(block) && typeof block.tool_use_id !== 'string') {
    throw new Refusal(400, `${path}.${String(type)}.tool_use_id: Field required`)
  }
  // A search that failed says so in the place of what it found.
  if (type !== 'web_search_tool_result' || !Array.isArray(content)) return
  for (const found of content) {
    if (!isObject(found) || !isSealed(found.encrypted_content)) {
      throw new Refusal(400, `${path}: Invalid \`encrypted_content\` in \`search_result\` block`)
    }
  }
}

/** Every result belongs to a use before it, and every search of a turn that is over has a result. */
export function checkServerResults({ blocks, path }: Turn, isOver: boolean): void {
  const open = new Map<unknown, JsonObject>()
  for (const block of blocks) {
    if (block.type === 'server_tool_use' || block.type === 'mcp_tool_use') open.set(block.id, block)
    if (isServerResult(block) && !open.delete(block.tool_use_id)) {
      throw new Refusal(
        400,
        `${path}: unexpected \`tool_use_id\` found in \`${String(block.type)}\` blocks: ${String(block.tool_use_id)}. Each \`${String(block.type)}\` block must have a corresponding \`server_tool_use\` block before it.`,
      )
    }
  }
  const unanswered = [...open.values()].find(({ name }) => name === 'web_search')
  if (isOver && unanswered) {
    throw new Refusal(
      400,
      `${path}: \`web_search\` tool use with id \`${String(unanswered.id)}\` was found without a corresponding \`web_search_tool_result\` block`,
    )
  }
}
