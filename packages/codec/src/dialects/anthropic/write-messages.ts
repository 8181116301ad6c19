import { parseArguments } from '../../chat/arguments.ts'
import type {
  AssistantMessage,
  AssistantPart,
  CacheControl,
  ContentPart,
  JsonObject,
  Message,
  Source,
  SystemMessage,
  ToolMessage,
  UserMessage,
} from '../../chat/request.ts'
import { googleSignature } from '../gemini/signature.ts'

type Unsupported = (param: string, why: string) => void

type Turn = { role: 'user' | 'assistant' | 'system'; content: JsonObject[] }

/**
 * Messages as Anthropic has them (https://platform.claude.com/docs/en/api/messages): what the system says first stands apart, user and assistant take turns, and all
 * results of one message's tool calls stand at the head of one user turn.
 *
 * A system message amid the conversation stays one where the model knows such and the place is allowed: behind a user turn, and before an assistant's or at the end
 * (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages). Elsewhere it becomes text of the user within `<system>`.
 */
export function writeMessages(
  messages: readonly Message[],
  takesSystemTurns: boolean,
  unsupported: Unsupported,
): { system: JsonObject[]; messages: Turn[] } {
  const spoken = messages.findIndex(({ role }) => role !== 'system')
  // A conversation can't be of system messages alone: the last of them is then what is answered.
  const first = spoken < 0 ? messages.length - 1 : spoken
  const system = messages.slice(0, first).flatMap((message) => writeTexts((message as SystemMessage).content))
  const turns: Turn[] = []
  for (let i = first; i < messages.length; i++) {
    const message = messages[i]!
    const path = `messages[${i}]`
    switch (message.role) {
      case 'system': {
        const allowed = takesSystemTurns && turns.at(-1)?.role !== 'assistant' && turns.length > 0
        const next = messages.slice(i + 1).find(({ role }) => role !== 'system')
        if (allowed && (next === undefined || next.role === 'assistant'))
          add(turns, 'system', writeTexts(message.content))
        else add(turns, 'user', writeTagged(message))
        break
      }
      case 'user':
        add(turns, 'user', writeUser(message, path, unsupported))
        break
      case 'assistant':
        add(turns, 'assistant', writeAssistant(message))
        break
      case 'tool':
        add(turns, 'user', [writeResult(message, path, unsupported)])
    }
  }
  for (const turn of turns) if (turn.role === 'user') turn.content = resultsFirst(turn.content)
  trimPrefill(turns)
  if (turns[0]?.role === 'assistant') unsupported(`messages[${first}]`, 'The first message must be the user’s here.')
  return { system, messages: turns }
}

/** Turns of one role that follow each other become one. */
function add(turns: Turn[], role: Turn['role'], content: JsonObject[]): void {
  if (content.length === 0) return
  const last = turns.at(-1)
  if (last?.role === role) last.content.push(...content)
  else turns.push({ role, content })
}

function resultsFirst(content: JsonObject[]): JsonObject[] {
  const isResult = ({ type }: JsonObject) => type === 'tool_result'
  return [...content.filter(isResult), ...content.filter((block) => !isResult(block))]
}

/** An answer that is begun for the model can't end in a thought, nor in white space: it goes on from the last word. */
function trimPrefill(turns: Turn[]): void {
  const turn = turns.at(-1)
  if (turn?.role !== 'assistant') return
  turn.content.length = turn.content.findLastIndex((block) => !isThought(block)) + 1
  const last = turn.content.at(-1)
  if (last === undefined) turns.pop()
  else if (last.type === 'text') turn.content.splice(-1, 1, { ...last, text: String(last.text).trimEnd() })
}

function isThought({ type }: JsonObject): boolean {
  return type === 'thinking' || type === 'redacted_thinking'
}

/** Texts of nothing or of white space alone are refused, and say nothing. */
function writeTexts(parts: readonly { text: string; cache: CacheControl | null }[]): JsonObject[] {
  return parts
    .filter(({ text }) => text.trim() !== '')
    .map(({ text, cache }) => ({ type: 'text', text, ...writeCache(cache) }))
}

function writeTagged({ content }: SystemMessage): JsonObject[] {
  const text = content.map((part) => part.text).join('\n')
  const cache = content.findLast((part) => part.cache !== null)?.cache ?? null
  return text.trim() === '' ? [] : [{ type: 'text', text: `<system>\n${text}\n</system>`, ...writeCache(cache) }]
}

/** Who speaks, where several users do, has no field here: the text says it. */
function writeUser({ content, name }: UserMessage, path: string, unsupported: Unsupported): JsonObject[] {
  const blocks = content.flatMap((part, i) => writePart(part, `${path}.content[${i}]`, unsupported))
  return name === null || blocks.length === 0 ? blocks : [{ type: 'text', text: `${name}:` }, ...blocks]
}

/**
 * What was thought goes back as it came, signed; what another provider thought can't be signed, and would be refused, so it stays behind. So do OpenAI's encrypted
 * blocks, which have ids of their own.
 */
function writeAssistant({ content, cache }: AssistantMessage): JsonObject[] {
  const blocks = content.flatMap(writeOwn)
  // Thoughts can't be marked for the cache.
  const last = blocks.findLastIndex((block) => !isThought(block))
  if (cache !== null && last >= 0) blocks[last] = { ...blocks[last], ...writeCache(cache) }
  return blocks
}

function writeOwn(part: AssistantPart): JsonObject[] {
  switch (part.type) {
    case 'reasoning': {
      const { text, signature, encrypted, id } = part
      if (encrypted !== null) return id === null ? [{ type: 'redacted_thinking', data: encrypted }] : []
      if (!signature || googleSignature(signature) !== null) return []
      return [{ type: 'thinking', thinking: text ?? '', signature }]
    }
    case 'text':
      return writeTexts([part])
    case 'refusal':
      return part.text.trim() === '' ? [] : [{ type: 'text', text: part.text }]
    case 'call':
      return [{ type: 'tool_use', id: toolUseId(part.id), name: part.name, input: parseArguments(part.arguments) }]
  }
}

function writeResult({ toolCallId, content, isError, cache }: ToolMessage, path: string, unsupported: Unsupported) {
  const blocks = content.flatMap((part, i) =>
    writePart({ ...part, cache: null } as ContentPart, `${path}.content[${i}]`, unsupported),
  )
  const inner = content.findLast((part) => 'cache' in part && part.cache !== null)
  const marked = cache ?? (inner && 'cache' in inner ? inner.cache : null)
  const only = blocks.length === 1 && blocks[0]!.type === 'text' ? blocks[0]!.text : blocks
  return {
    type: 'tool_result',
    tool_use_id: toolUseId(toolCallId),
    ...(blocks.length > 0 && { content: only }),
    ...(isError && { is_error: true }),
    ...writeCache(marked),
  }
}

/** Ids have letters, digits, `_` and `-` here; others’ may have more in them. */
function toolUseId(id: string): string {
  return id.replace(/[^a-zA-Z0-9_-]/g, '_')
}

function writePart(part: ContentPart, path: string, unsupported: Unsupported): JsonObject[] {
  switch (part.type) {
    case 'text':
      return writeTexts([part])
    case 'image': {
      const source = writeSource(part.source)
      // `detail` is a hint that has no like here: every image is seen at one resolution.
      return [{ type: 'image', source, ...writeCache(part.cache) }]
    }
    case 'document': {
      const source = writeDocument(part.source)
      if (source === null) {
        unsupported(path, 'Documents are PDF or plain text here.')
        return []
      }
      return [{ type: 'document', source, ...(part.name !== null && { title: part.name }), ...writeCache(part.cache) }]
    }
    case 'audio':
      unsupported(path, 'Anthropic’s models take no audio.')
      return []
    case 'video':
      unsupported(path, 'Anthropic’s models take no video.')
      return []
  }
}

/** https://platform.claude.com/docs/en/build-with-claude/vision */
function writeSource(source: Source): JsonObject {
  switch (source.kind) {
    case 'url':
      return { type: 'url', url: source.url }
    case 'base64':
      return { type: 'base64', media_type: source.mediaType, data: source.data }
    case 'file':
      return { type: 'file', file_id: source.id }
    case 'text':
      return { type: 'text', media_type: 'text/plain', data: source.text }
  }
}

/** https://platform.claude.com/docs/en/build-with-claude/pdf-support: PDFs in any of these ways, and text as it is. */
function writeDocument(source: Source): JsonObject | null {
  if (source.kind !== 'base64' || source.mediaType === 'application/pdf') return writeSource(source)
  if (!source.mediaType.startsWith('text/')) return null
  const bytes = Uint8Array.from(atob(source.data), (char) => char.charCodeAt(0))
  return writeSource({ kind: 'text', text: new TextDecoder().decode(bytes) })
}

/** https://platform.claude.com/docs/en/build-with-claude/prompt-caching; five minutes are what is meant where nothing is said. */
export function writeCache(cache: CacheControl | null): JsonObject {
  return cache === null ? {} : { cache_control: { type: 'ephemeral', ...(cache.ttl === '1h' && { ttl: '1h' }) } }
}
