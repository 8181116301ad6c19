import { parseArguments } from '../../chat/arguments.ts'
import type {
  AssistantMessage,
  AssistantPart,
  CacheControl,
  ContentPart,
  JsonObject,
  Message,
  SystemMessage,
  TextPart,
  ToolMessage,
  UserMessage,
} from '../../chat/request.ts'
import { cutAndHashed } from '../../crc32.ts'
import { googleSignature } from '../gemini/signature.ts'
import { DocumentNames, encodeMedia } from './encode-media.ts'

type Unsupported = (param: string, why: string) => void
type Turn = { role: 'user' | 'assistant'; content: JsonObject[] }

/**
 * `system` and `messages`: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html. What the system says first stands apart, user and assistant take
 * turns, and all results of one message's calls stand at the head of one user turn.
 */
export function encodeMessages(
  messages: readonly Message[],
  unsupported: Unsupported,
): { system: JsonObject[]; turns: Turn[] } {
  const spoken = messages.findIndex(({ role }) => role !== 'system')
  // A conversation can't be of system messages alone: the last of them is then what is answered.
  const first = spoken < 0 ? messages.length - 1 : spoken
  const system = messages.slice(0, first).flatMap((message) => encodeTexts((message as SystemMessage).content))
  const documents = new DocumentNames()
  const turns: Turn[] = []
  for (let i = first; i < messages.length; i++) {
    const message = messages[i]!
    const path = `messages[${i}]`
    switch (message.role) {
      // The API has system messages at the start only. What comes later keeps its place, and says what it is.
      case 'system':
        add(turns, 'user', encodeTagged(message))
        break
      case 'user':
        add(turns, 'user', encodeUser(message, path, documents, unsupported))
        break
      case 'assistant':
        add(turns, 'assistant', encodeAssistant(message))
        break
      case 'tool':
        add(turns, 'user', encodeResult(message, path, documents, unsupported))
    }
  }
  for (const turn of turns) if (turn.role === 'user') turn.content = resultsFirst(turn.content)
  if (turns[0]?.role === 'assistant') unsupported(`messages[${first}]`, 'The first message must be the user’s here.')
  return { system, turns }
}

/** Turns of one role that follow each other become one. */
function add(turns: Turn[], role: Turn['role'], content: JsonObject[]): void {
  if (content.length === 0) return
  const last = turns.at(-1)
  if (last?.role === role) last.content.push(...content)
  else turns.push({ role, content })
}

/** An answer that is begun for Claude can't end in a thought, nor in white space: it goes on from the last word. */
export function trimPrefill(turns: readonly Turn[]): readonly Turn[] {
  const last = turns.at(-1)
  if (last?.role !== 'assistant') return turns
  const end = last.content.findLastIndex((block) => !block.reasoningContent && !block.cachePoint)
  const content = last.content.flatMap((block, i) => {
    if (i === end && typeof block.text === 'string') return [{ text: block.text.trimEnd() }]
    return i > end && block.reasoningContent ? [] : [block]
  })
  return [...turns.slice(0, -1), ...(end < 0 ? [] : [{ role: last.role, content }])]
}

/** Each with the cache point behind it. */
function resultsFirst(content: readonly JsonObject[]): JsonObject[] {
  const groups: JsonObject[][] = []
  for (const block of content) {
    if (block.cachePoint && groups.length > 0) groups.at(-1)!.push(block)
    else groups.push([block])
  }
  const isResult = ([block]: JsonObject[]) => block?.toolResult !== undefined
  return [...groups.filter(isResult), ...groups.filter((group) => !isResult(group))].flat()
}

/** Texts that are blank are refused, and say nothing. */
function encodeTexts(parts: readonly TextPart[]): JsonObject[] {
  return parts
    .filter(({ text }) => text.trim() !== '')
    .flatMap(({ text, cache }) => [{ text }, ...encodeCachePoint(cache)])
}

function encodeTagged({ content }: SystemMessage): JsonObject[] {
  const text = content.map((part) => part.text).join('\n')
  const cache = content.findLast((part) => part.cache !== null)?.cache ?? null
  return text.trim() === '' ? [] : [{ text: `<system>\n${text}\n</system>` }, ...encodeCachePoint(cache)]
}

/**
 * Who speaks, where several users do, has no field here: the text says it. A document is taken only beside text, so where there is none its name is the text.
 */
function encodeUser(
  { content, name }: UserMessage,
  path: string,
  documents: DocumentNames,
  unsupported: Unsupported,
): JsonObject[] {
  const blocks = encodeParts(content, path, documents, unsupported)
  if (blocks.length === 0) return []
  if (name !== null) return [{ text: `${name}:` }, ...blocks]
  const document = blocks.find((block) => block.document !== undefined)?.document as { name: string } | undefined
  return document && !blocks.some((block) => block.text !== undefined) ? [{ text: document.name }, ...blocks] : blocks
}

/**
 * What was thought goes back as it came, signed; what another provider thought can't be signed, and would be refused, so it stays behind. So do OpenAI's encrypted
 * blocks, which have ids of their own.
 */
function encodeAssistant({ content, cache }: AssistantMessage): JsonObject[] {
  const blocks = content.flatMap(encodeOwn)
  return blocks.length === 0 ? [] : [...blocks, ...encodeCachePoint(cache)]
}

function encodeOwn(part: AssistantPart): JsonObject[] {
  switch (part.type) {
    case 'reasoning': {
      const { text, signature, encrypted, id } = part
      if (encrypted !== null) return id === null ? [{ reasoningContent: { redactedContent: encrypted } }] : []
      if (!signature || googleSignature(signature) !== null) return []
      return [{ reasoningContent: { reasoningText: { text: text ?? '', signature } } }]
    }
    case 'text':
      return encodeTexts([part])
    case 'refusal':
      return part.text.trim() === '' ? [] : [{ text: part.text }]
    case 'call':
      return [{ toolUse: { toolUseId: toolUseId(part.id), name: part.name, input: parseArguments(part.arguments) } }]
  }
}

/** A cache point stands behind a result, never in it. A tool that said nothing answered all the same, and blank text is refused. */
function encodeResult(
  { toolCallId, content, isError, cache }: ToolMessage,
  path: string,
  documents: DocumentNames,
  unsupported: Unsupported,
): JsonObject[] {
  const plain = content.map((part) => ('cache' in part ? { ...part, cache: null } : part))
  const inner = content.findLast((part) => 'cache' in part && part.cache !== null)
  const blocks = encodeParts(plain, path, documents, unsupported)
  const toolResult = {
    toolUseId: toolUseId(toolCallId),
    content: blocks.length > 0 ? blocks : [{ json: {} }],
    ...(isError && { status: 'error' }),
  }
  const marked = cache ?? (inner && 'cache' in inner ? inner.cache : null)
  return [{ toolResult }, ...encodeCachePoint(marked)]
}

function encodeParts(
  parts: readonly ContentPart[],
  path: string,
  documents: DocumentNames,
  unsupported: Unsupported,
): JsonObject[] {
  return parts.flatMap((part, i) => {
    if (part.type === 'text') return encodeTexts([part])
    const block = encodeMedia(part, documents, (why) => unsupported(`${path}.content[${i}]`, why))
    return block === null ? [] : [block, ...encodeCachePoint('cache' in part ? part.cache : null)]
  })
}

/** Ids have up to 64 letters, digits, `_` and `-` here; others' may be longer and have more in them. */
function toolUseId(id: string): string {
  const safe = id.replace(/[^A-Za-z0-9_-]/g, '_')
  return safe.length <= 64 ? safe : cutAndHashed(safe, 64, id)
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html; five minutes are what is meant where nothing is said. */
export function encodeCachePoint(cache: CacheControl | null): JsonObject[] {
  return cache === null ? [] : [{ cachePoint: { type: 'default', ...(cache.ttl === '1h' && { ttl: '1h' }) } }]
}
