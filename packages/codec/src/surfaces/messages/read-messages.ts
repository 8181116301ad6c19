import { invalidRequest } from '@nemo/domain/errors'
import type {
  AssistantMessage,
  AssistantPart,
  CacheControl,
  ContentPart,
  JsonObject,
  Message,
  Source,
  SystemMessage,
  TextPart,
  ToolMessage,
} from '../../chat/request.ts'
import type { Untranslated } from '../../chat/untranslatable.ts'
import { arrayAt, isObject, objectAt, oneOf, readCacheControl, readText, textAt } from '../../fields.ts'

/**
 * `system` and `messages` (https://platform.claude.com/docs/en/api/messages). Throws a 400 that names the place. `others` gets the blocks that only Anthropic's models know: what its servers' tools did
 * (https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools), and kinds that aren't known here.
 */
export function readConversation(body: JsonObject, others: Untranslated): Message[] {
  const given = arrayAt(body.messages, 'messages')
  if (given.length === 0) throw invalidRequest('messages', 'messages: at least one message is required')
  const system = body.system == null ? [] : readTexts(body.system, 'system', others)
  const spoken = given.flatMap((one, i) => readMessage(objectAt(one, `messages[${i}]`), `messages[${i}]`, others))
  return system.length === 0 ? spoken : [systemOf(system), ...spoken]
}

function systemOf(content: TextPart[]): SystemMessage {
  return { role: 'system', isDeveloper: false, content, name: null }
}

function readMessage(message: JsonObject, path: string, others: Untranslated): Message[] {
  switch (oneOf(message.role, ['user', 'assistant', 'system'], `${path}.role`)) {
    case 'user':
      return readUser(message, path, others)
    case 'assistant':
      return [readAssistant(message, path, others)]
    case 'system':
      return [systemOf(readTexts(message.content, `${path}.content`, others))]
  }
}

/** A string, or an array of text blocks. */
function readTexts(given: unknown, path: string, others: Untranslated): TextPart[] {
  if (typeof given === 'string') return given === '' ? [] : [{ type: 'text', text: given, cache: null }]
  return arrayAt(given, path).flatMap((one, i) => {
    const block = objectAt(one, `${path}[${i}]`)
    if (block.type === 'text') return [readTextBlock(block, `${path}[${i}]`)]
    addBlock(block, `${path}[${i}]`, others)
    return []
  })
}

function addBlock(block: JsonObject, path: string, others: Untranslated): void {
  const type = textAt(block.type, `${path}.type`)
  const { raw, media } = type === 'web_fetch_tool_result' ? withoutPage(block) : { raw: block, media: [] }
  others.add(path, `a block of type ${type}`, raw, media)
}

/** A page that was fetched may be a PDF (https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool). */
function withoutPage(block: JsonObject): { raw: JsonObject; media: ContentPart[] } {
  const result = isObject(block.content) ? block.content : {}
  const page = isObject(result.content) ? result.content : {}
  const { source } = page
  if (!isObject(source) || source.type !== 'base64' || typeof source.data !== 'string') return { raw: block, media: [] }
  const { data, ...said } = source
  const raw = { ...block, content: { ...result, content: { ...page, source: said } } }
  const file: Source = { kind: 'base64', mediaType: 'application/pdf', data }
  return { raw, media: [{ type: 'document', source: file, name: null, cache: null }] }
}

function readTextBlock(block: JsonObject, path: string): TextPart {
  return { type: 'text', text: textAt(block.text, `${path}.text`), cache: readCacheControl(block, path) }
}

/** The results of tools become messages of their own, and what the user says beside them another, in the order in which they stand. */
function readUser(message: JsonObject, path: string, others: Untranslated): Message[] {
  const messages: Message[] = []
  let content: ContentPart[] = []
  const flush = () => {
    if (content.length > 0) messages.push({ role: 'user', content, name: null })
    content = []
  }
  blocksOf(message, path).forEach((block, i) => {
    const at = `${path}.content[${i}]`
    if (block.type === 'tool_result') {
      flush()
      messages.push(readResult(block, at, others))
    } else content.push(...readPart(block, at, others))
  })
  flush()
  return messages.length > 0 ? messages : [{ role: 'user', content: [], name: null }]
}

function blocksOf(message: JsonObject, path: string): JsonObject[] {
  const { content } = message
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return arrayAt(content, `${path}.content`).map((block, i) => objectAt(block, `${path}.content[${i}]`))
}

function readResult(block: JsonObject, path: string, others: Untranslated): ToolMessage {
  const { content } = block
  const parts =
    content == null
      ? []
      : typeof content === 'string'
        ? [{ type: 'text' as const, text: content, cache: null }]
        : arrayAt(content, `${path}.content`).flatMap((one, i) =>
            readPart(objectAt(one, `${path}.content[${i}]`), `${path}.content[${i}]`, others),
          )
  return {
    role: 'tool',
    toolCallId: textAt(block.tool_use_id, `${path}.tool_use_id`),
    content: parts,
    isError: block.is_error === true,
    cache: readCacheControl(block, path),
  }
}

function readPart(block: JsonObject, path: string, others: Untranslated): ContentPart[] {
  switch (block.type) {
    case 'text':
      return [readTextBlock(block, path)]
    case 'image': {
      const source = readSource(block.source, `${path}.source`, ['base64', 'url', 'file'], others)
      return source === null ? [] : [{ type: 'image', source, detail: null, cache: readCacheControl(block, path) }]
    }
    case 'document':
      return readDocument(block, path, others)
    case 'search_result':
      return readSearchResult(block, path, others)
    case 'tool_result':
      throw invalidRequest(path, `${path}: a tool_result can’t stand within another.`)
    default:
      addBlock(block, path, others)
      return []
  }
}

/** Null, once it is noted, where it is of a kind that isn't known here. */
function readSource(
  given: unknown,
  path: string,
  types: readonly ('base64' | 'url' | 'file' | 'text')[],
  others: Untranslated,
): Source | null {
  const source = objectAt(given, path)
  switch (types.find((type) => type === source.type)) {
    case undefined:
      others.add(path, `a source of type ${textAt(source.type, `${path}.type`)}`, source)
      return null
    case 'base64':
      return {
        kind: 'base64',
        mediaType: textAt(source.media_type, `${path}.media_type`).toLowerCase(),
        data: textAt(source.data, `${path}.data`),
      }
    case 'url':
      return { kind: 'url', url: textAt(source.url, `${path}.url`) }
    case 'file':
      return { kind: 'file', id: textAt(source.file_id, `${path}.file_id`) }
    case 'text':
      return { kind: 'text', text: textAt(source.data, `${path}.data`) }
  }
}

/** A document may be of blocks of text and images; these are told one after another. */
function readDocument(block: JsonObject, path: string, others: Untranslated): ContentPart[] {
  addCitations(block, path, others)
  const name = readText(block, 'title', `${path}.title`)
  const context = readText(block, 'context', `${path}.context`)
  const cache = readCacheControl(block, path)
  const before: ContentPart[] = context === null ? [] : [{ type: 'text', text: context, cache: null }]
  const source = objectAt(block.source, `${path}.source`)
  if (source.type !== 'content') {
    const read = readSource(source, `${path}.source`, ['base64', 'url', 'file', 'text'], others)
    return read === null ? before : [...before, { type: 'document', source: read, name, cache }]
  }
  if (typeof source.content === 'string') return [...before, textDocument(source.content, name, cache)]
  const parts = arrayAt(source.content, `${path}.source.content`).flatMap((one, i) => {
    const at = `${path}.source.content[${i}]`
    return readPart(objectAt(one, at), at, others)
  })
  return [...before, ...parts.map((part) => (part.type === 'text' ? textDocument(part.text, name, part.cache) : part))]
}

/** Nobody but Anthropic can be asked to cite what it is given. */
function addCitations({ citations }: JsonObject, path: string, others: Untranslated): void {
  if (isObject(citations) && citations.enabled === true) {
    others.add(`${path}.citations`, 'citations of what it is given', citations)
  }
}

/** What was found somewhere, with where (https://platform.claude.com/docs/en/build-with-claude/search-results): a document of text. */
function readSearchResult(block: JsonObject, path: string, others: Untranslated): ContentPart[] {
  addCitations(block, path, others)
  const texts = readTexts(block.content, `${path}.content`, others).map(({ text }) => text)
  const text = `${textAt(block.source, `${path}.source`)}\n\n${texts.join('\n')}`
  return [textDocument(text, textAt(block.title, `${path}.title`), readCacheControl(block, path))]
}

function textDocument(text: string, name: string | null, cache: CacheControl | null): ContentPart {
  return { type: 'document', source: { kind: 'text', text }, name, cache }
}

function readAssistant(message: JsonObject, path: string, others: Untranslated): AssistantMessage {
  const content: AssistantPart[] = []
  let cache: CacheControl | null = null
  blocksOf(message, path).forEach((block, i) => {
    const at = `${path}.content[${i}]`
    switch (block.type) {
      case 'text':
        content.push(readTextBlock(block, at))
        break
      case 'thinking': {
        const signature = readText(block, 'signature', `${at}.signature`)
        // An empty signature is what was written where there was none to be had.
        content.push({
          type: 'reasoning',
          text: textAt(block.thinking, `${at}.thinking`),
          signature: signature || null,
          encrypted: null,
          id: null,
        })
        break
      }
      case 'redacted_thinking': {
        const encrypted = textAt(block.data, `${at}.data`)
        content.push({ type: 'reasoning', text: null, signature: null, encrypted, id: null })
        break
      }
      case 'tool_use':
        content.push({
          type: 'call',
          id: textAt(block.id, `${at}.id`),
          name: textAt(block.name, `${at}.name`),
          arguments: JSON.stringify(objectAt(block.input, `${at}.input`)),
          signature: null,
        })
        cache = readCacheControl(block, at) ?? cache
        break
      default:
        addBlock(block, at, others)
    }
  })
  return { role: 'assistant', content, name: null, cache }
}
