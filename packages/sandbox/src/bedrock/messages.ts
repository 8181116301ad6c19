import { isObject, type JsonObject } from '../json.ts'
import { refused } from './errors.ts'
import { isOwnThought } from './thoughts.ts'

export type Turn = { role: 'user' | 'assistant'; content: JsonObject[] }

const kinds = [
  ...['text', 'image', 'document', 'video', 'audio', 'toolUse', 'toolResult', 'guardContent', 'cachePoint'],
  ...['reasoningContent', 'citationsContent', 'searchResult'],
]

/** Reads `messages`; throws the 400 that Bedrock would (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html). */
export function readMessages(messages: unknown, hasTools: boolean): Turn[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw refused(
      'A conversation must start with a user message. Try again with a conversation that starts with a user message.',
    )
  }
  const turns = messages.map((message, i) => readMessage(message, i))
  if (turns[0]!.role !== 'user') {
    throw refused(
      'A conversation must start with a user message. Try again with a conversation that starts with a user message.',
    )
  }
  turns.forEach((turn, i) => {
    if (turns[i - 1]?.role === turn.role) {
      throw refused(
        'A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.',
      )
    }
    checkTools(turn, turns[i - 1], i)
  })
  checkDocuments(turns)
  const usesTools = turns.some(({ content }) => content.some((block) => block.toolUse ?? block.toolResult))
  if (usesTools && !hasTools) {
    throw refused('The toolConfig field must be defined when using toolUse and toolResult content blocks.')
  }
  const open = idsOf(turns.at(-1)!, 'toolUse')
  if (open.length > 0) throw unanswered(turns.length, open)
  return turns
}

function readMessage(message: unknown, i: number): Turn {
  const path = `messages.${i}`
  if (!isObject(message)) throw refused(`The value at ${path} must be an object.`)
  checkKeys(message, ['role', 'content'])
  const { role, content } = message
  if (role !== 'user' && role !== 'assistant') {
    throw refused(
      `1 validation error detected: Value '${String(role)}' at 'messages.${i + 1}.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant]`,
    )
  }
  if (!Array.isArray(content) || content.length === 0) {
    throw refused(
      `The content field in the Message object at ${path} is empty. Add a ContentBlock object to the content field and try again.`,
    )
  }
  for (const [j, block] of content.entries()) checkBlock(block, role, `${path}.content.${j}`)
  return { role, content }
}

function checkBlock(block: unknown, role: Turn['role'], path: string): void {
  const given = isObject(block) ? Object.keys(block) : []
  if (!isObject(block) || given.length !== 1 || !kinds.includes(given[0]!)) {
    throw refused(`The value at ${path} is not a valid ContentBlock: exactly one member of the union must be set.`)
  }
  const { text, toolUse, toolResult, reasoningContent, document } = block
  if (text !== undefined && (typeof text !== 'string' || text.trim() === '')) {
    throw refused(
      `The text field in the ContentBlock object at ${path} is blank. Add text to the text field, and try again.`,
    )
  }
  if (isObject(toolUse)) {
    if (role !== 'assistant') throw refused(`The toolUse block at ${path} is only allowed for the assistant role.`)
    checkKeys(toolUse, ['toolUseId', 'name', 'input', 'type'])
    checkPattern(toolUse.toolUseId, /^[a-zA-Z0-9_-]{1,64}$/, `${path}.toolUse.toolUseId`)
    checkPattern(toolUse.name, /^[a-zA-Z0-9_-]{1,64}$/, `${path}.toolUse.name`)
    if (!isObject(toolUse.input)) {
      throw refused(
        `The format of the value at ${path}.toolUse.input is invalid. Provide a json object for the field and try again.`,
      )
    }
  }
  if (isObject(toolResult)) {
    if (role !== 'user') throw refused(`The toolResult block at ${path} is only allowed for the user role.`)
    checkKeys(toolResult, ['toolUseId', 'content', 'status', 'type'])
    if (!Array.isArray(toolResult.content)) throw refused(`The value at ${path}.toolResult.content must be a list.`)
    toolResult.content.forEach((part, i) => {
      checkResult(part, `${path}.toolResult.content.${i}`)
    })
  }
  if (isObject(reasoningContent) && !isOwnThought(reasoningContent)) {
    throw refused(`The model returned the following errors: ${path}: Invalid \`signature\` in \`thinking\` block`)
  }
  if (isObject(document))
    checkPattern(document.name, /^[a-zA-Z0-9()[\]-]+( [a-zA-Z0-9()[\]-]+)*$/, `${path}.document.name`)
}

function checkResult(part: unknown, path: string): void {
  const [kind, ...others] = isObject(part) ? Object.keys(part) : []
  if (!isObject(part) || others.length > 0 || !resultKinds.includes(kind ?? '')) {
    throw refused(
      `The value at ${path} is not a valid ToolResultContentBlock: exactly one member of the union must be set.`,
    )
  }
  if (kind === 'text' && (typeof part.text !== 'string' || part.text.trim() === '')) {
    throw refused(
      `The text field in the ToolResultContentBlock object at ${path} is blank. Add text to the text field, and try again.`,
    )
  }
}

const resultKinds = ['text', 'json', 'image', 'document', 'video', 'searchResult']

/** Each document stands beside text, and has a name of its own. */
function checkDocuments(turns: readonly Turn[]): void {
  const names = new Set<unknown>()
  for (const { content } of turns) {
    const documents = content.map(({ document }) => document).filter(isObject)
    if (documents.length > 0 && !content.some(({ text }) => text !== undefined)) {
      throw refused('A text block must be included when using documents.')
    }
    for (const { name } of documents) {
      if (names.has(name)) throw refused('Messages must not contain duplicate document names.')
      names.add(name)
    }
  }
}

/** Each call has its result in the next message, and nothing else has one. */
function checkTools(turn: Turn, before: Turn | undefined, i: number): void {
  if (turn.role === 'assistant') return
  const called = before === undefined ? [] : idsOf(before, 'toolUse')
  const answered = idsOf(turn, 'toolResult')
  const open = called.filter((id) => !answered.includes(id))
  if (open.length > 0) throw unanswered(i, open)
  if (answered.length > 0 && turn.content[0]!.toolResult === undefined) {
    throw refused(`messages.${i}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after`)
  }
  if (answered.length > called.length) {
    throw refused(
      `The number of toolResult blocks at messages.${i}.content exceeds the number of toolUse blocks of previous turn.`,
    )
  }
}

function unanswered(i: number, ids: string[]) {
  return refused(`Expected toolResult blocks at messages.${i}.content for the following Ids: ${ids.join(', ')}`)
}

function idsOf({ content }: Turn, kind: 'toolUse' | 'toolResult'): string[] {
  return content
    .map((block) => block[kind])
    .filter(isObject)
    .map(({ toolUseId }) => String(toolUseId))
}

export function checkKeys(value: JsonObject, known: readonly string[]): void {
  const unknown = Object.keys(value).find((name) => !known.includes(name))
  if (unknown !== undefined) throw refused(`extraneous key [${unknown}] is not permitted`)
}

export function checkPattern(value: unknown, pattern: RegExp, path: string): void {
  if (typeof value === 'string' && pattern.test(value)) return
  throw refused(
    `1 validation error detected: Value '${String(value)}' at '${path}' failed to satisfy constraint: Member must satisfy regular expression pattern: ${pattern.source}`,
  )
}
