import { isObject, type JsonObject } from '../json.ts'
import { Refusal } from '../refusal.ts'
import { checkServerBlock, checkServerResults, serverBlocks } from './server-blocks.ts'
import { isSealed, sign } from './thinking.ts'

/** Turns of one role that follow each other are one. */
export type Turn = { role: 'user' | 'assistant' | 'system'; blocks: JsonObject[]; path: string }

/** Reads `messages`; throws the 400 that Anthropic would (https://platform.claude.com/docs/en/api/messages, …/api/errors#common-validation-errors). */
export function readTurns(messages: unknown): Turn[] {
  if (messages === undefined) throw refused('messages: Field required')
  if (!Array.isArray(messages)) throw refused('messages: Input should be a valid list')
  if (messages.length === 0) throw refused('messages: at least one message is required')
  const turns: Turn[] = []
  messages.forEach((message, i) => {
    const turn = readMessage(message, `messages.${i}`, i === messages.length - 1)
    const last = turns.at(-1)
    if (last?.role === turn.role) last.blocks.push(...turn.blocks)
    else turns.push(turn)
  })
  checkOrder(turns)
  turns.forEach((turn, i) => {
    if (turn.role !== 'system') checkCalls(turn, turns[i - 1], turns[i + 1])
  })
  const last = turns.at(-1)!.blocks.at(-1)
  if (turns.at(-1)!.role === 'assistant' && typeof last?.text === 'string' && /\s$/.test(last.text)) {
    throw refused('messages: final assistant content cannot end with trailing whitespace')
  }
  return turns
}

function readMessage(message: unknown, path: string, isLast: boolean): Turn {
  if (!isObject(message)) throw refused(`${path}: Input should be a valid dictionary`)
  for (const name of Object.keys(message)) {
    if (name !== 'role' && name !== 'content') throw refused(`${path}.${name}: Extra inputs are not permitted`)
  }
  const { role, content } = message
  if (role !== 'user' && role !== 'assistant' && role !== 'system') {
    throw refused(`${path}.role: Input should be 'user', 'assistant' or 'system'`)
  }
  const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : content
  if (!Array.isArray(blocks)) throw refused(`${path}.content: Input should be a valid list`)
  const isEmpty = blocks.length === 0 || content === ''
  if (isEmpty && !(isLast && role === 'assistant')) {
    throw refused(`${path}: all messages must have non-empty content except for the optional final assistant message`)
  }
  if (!isEmpty) for (const [i, block] of blocks.entries()) checkBlock(block, role, `${path}.content.${i}`)
  return { role, blocks, path }
}

const blockTypes: Record<Turn['role'], string[]> = {
  user: ['text', 'image', 'document', 'search_result', 'tool_result', 'container_upload'],
  assistant: ['text', 'thinking', 'redacted_thinking', 'tool_use', ...serverBlocks],
  system: ['text'],
}

/** What a tool's result may be of. */
const resultTypes = ['text', 'image', 'document', 'search_result', 'tool_reference']

const fields: Record<string, string[]> = {
  text: ['text', 'citations'],
  image: ['source'],
  document: ['source', 'title', 'context', 'citations'],
  search_result: ['source', 'title', 'content', 'citations'],
  tool_result: ['tool_use_id', 'content', 'is_error'],
  thinking: ['thinking', 'signature'],
  redacted_thinking: ['data'],
  tool_use: ['id', 'name', 'input', 'caller'],
}

function checkBlock(block: unknown, role: Turn['role'], path: string, types = blockTypes[role]): void {
  if (!isObject(block)) throw refused(`${path}: Input should be a valid dictionary`)
  const type = String(block.type)
  if (!types.includes(type)) throw refused(`${path}: Input tag '${type}' is not one of ${types.join(', ')}`)
  for (const name of Object.keys(block)) {
    if (name === 'type' || name === 'cache_control' || (fields[type]?.includes(name) ?? true)) continue
    throw refused(`${path}.${type}.${name}: Extra inputs are not permitted`)
  }
  switch (type) {
    case 'text':
      if (typeof block.text !== 'string') throw refused(`${path}.text.text: Field required`)
      if (block.text === '') throw refused('messages: text content blocks must be non-empty')
      return
    case 'image':
      checkSource(block.source, ['base64', 'url', 'file'], `${path}.image.source`)
      return
    case 'document':
      checkSource(block.source, ['base64', 'url', 'file', 'text', 'content'], `${path}.document.source`)
      return
    case 'thinking':
      if (block.signature !== sign(String(block.thinking)))
        throw refused(`${path}: Invalid \`signature\` in \`thinking\` block`)
      return
    case 'redacted_thinking':
      if (!isSealed(block.data)) throw refused(`${path}: Invalid \`data\` in \`redacted_thinking\` block`)
      return
    case 'tool_use':
      if (!/^[a-zA-Z0-9_-]+$/.test(String(block.id ?? ''))) {
        throw refused(`${path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'`)
      }
      if (typeof block.name !== 'string') throw refused(`${path}.tool_use.name: Field required`)
      if (!isObject(block.input)) throw refused(`${path}.tool_use.input: Input should be a valid dictionary`)
      return
    case 'tool_result':
      if (typeof block.tool_use_id !== 'string') throw refused(`${path}.tool_result.tool_use_id: Field required`)
      if (Array.isArray(block.content)) {
        for (const [i, inner] of block.content.entries())
          checkBlock(inner, 'user', `${path}.tool_result.content.${i}`, resultTypes)
      }
      return
    default:
      checkServerBlock(block, path)
  }
}

function checkSource(source: unknown, types: string[], path: string): void {
  if (!isObject(source)) throw refused(`${path}: Field required`)
  if (!types.includes(String(source.type)))
    throw refused(`${path}: Input tag '${String(source.type)}' is not one of ${types.join(', ')}`)
  const needed = { base64: ['media_type', 'data'], url: ['url'], file: ['file_id'], text: ['media_type', 'data'] }
  for (const name of needed[source.type as keyof typeof needed] ?? []) {
    if (typeof source[name] !== 'string') throw refused(`${path}.${String(source.type)}.${name}: Field required`)
  }
}

function checkOrder(turns: Turn[]): void {
  if (turns[0]!.role !== 'user') throw refused('messages: first message must use the "user" role')
  turns.forEach(({ role, path }, i) => {
    if (role !== 'system') return
    const next = turns[i + 1]
    if (turns[i - 1]?.role === 'user' && (next === undefined || next.role === 'assistant')) return
    throw refused(
      `${path}: a system message must follow a user message, and precede an assistant message or be the last`,
    )
  })
}

/** Every call is answered in the next turn, at its head, and nothing else is. */
function checkCalls(turn: Turn, before: Turn | undefined, after: Turn | undefined): void {
  if (turn.role === 'assistant') {
    checkServerResults(turn, after !== undefined)
    const ids = idsOf(turn, 'tool_use', 'id')
    if (new Set(ids).size < ids.length) throw refused('messages: `tool_use` ids must be unique')
    const answered = after === undefined ? [] : idsOf(after, 'tool_result', 'tool_use_id')
    const open = ids.filter((id) => !answered.includes(id))
    if (open.length > 0) {
      throw refused(
        `${turn.path}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
      )
    }
    return
  }
  const called = before?.role === 'assistant' ? idsOf(before, 'tool_use', 'id') : []
  const stray = idsOf(turn, 'tool_result', 'tool_use_id').find((id) => !called.includes(id))
  if (stray !== undefined) {
    throw refused(
      `${turn.path}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`,
    )
  }
  const other = turn.blocks.findIndex(({ type }) => type !== 'tool_result')
  if (other >= 0 && turn.blocks.slice(other).some(({ type }) => type === 'tool_result')) {
    throw refused(`${turn.path}: \`tool_result\` blocks must come first in the content of a message`)
  }
}

function idsOf({ blocks }: Turn, type: string, field: string): string[] {
  return blocks.filter((block) => block.type === type).map((block) => String(block[field]))
}

export function refused(message: string): Refusal {
  return new Refusal(400, message)
}
