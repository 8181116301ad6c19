import { parseArguments } from '../../chat/arguments.ts'
import type { CacheControl, ContentPart, JsonObject, Message, SystemMessage } from '../../chat/request.ts'

type Unsupported = (param: string, why: string) => void

/** `system` and `messages`: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html */
export function encodeMessages(
  messages: readonly Message[],
  unsupported: Unsupported,
): { system: JsonObject[]; turns: JsonObject[] } {
  const leading = messages.findIndex((message) => message.role !== 'system')
  const first = leading < 0 ? messages.length : leading
  const system = messages
    .slice(0, first)
    .flatMap((message) => (message as SystemMessage).content)
    .filter(({ text }) => text !== '')
    .flatMap(({ text, cache }) => [{ text }, ...cachePoint(cache)])
  const names = new DocumentNames()
  const turns: { role: string; content: JsonObject[] }[] = []
  for (let i = first; i < messages.length; i++) {
    const message = messages[i]!
    const role = message.role === 'assistant' ? 'assistant' : 'user'
    const content = encodeContent(message, `messages[${i}]`, names, unsupported)
    if (content.length === 0) continue
    const last = turns.at(-1)
    if (last?.role === role) last.content.push(...content)
    else turns.push({ role, content })
  }
  return { system, turns }
}

function encodeContent(message: Message, path: string, names: DocumentNames, unsupported: Unsupported): JsonObject[] {
  switch (message.role) {
    // The API has system messages at the start only. What comes later keeps its place, and says what it is.
    case 'system':
      return message.content
        .filter(({ text }) => text !== '')
        .flatMap(({ text, cache }) => [{ text: `<system>${text}</system>` }, ...cachePoint(cache)])
    case 'user':
      return encodeParts(message.content, path, names, unsupported)
    case 'assistant': {
      const blocks: JsonObject[] = []
      for (const { text, signature, encrypted } of message.reasoning) {
        if (encrypted !== null) blocks.push({ reasoningContent: { redactedContent: encrypted } })
        else if (signature !== null)
          blocks.push({ reasoningContent: { reasoningText: { text: text ?? '', signature } } })
      }
      for (const { text, cache } of message.content) if (text !== '') blocks.push({ text }, ...cachePoint(cache))
      if (message.refusal) blocks.push({ text: message.refusal })
      message.toolCalls.forEach((call, i) => {
        const input = parseArguments(call.arguments, `${path}.tool_calls[${i}].function.arguments`)
        blocks.push({ toolUse: { toolUseId: toolUseId(call.id), name: call.name, input } })
      })
      return [...blocks, ...cachePoint(message.cache)]
    }
    case 'tool': {
      const content = encodeParts(message.content, path, names, unsupported)
      const result = {
        toolUseId: toolUseId(message.toolCallId),
        content: content.length > 0 ? content : [{ text: '' }],
        ...(message.isError && { status: 'error' }),
      }
      return [{ toolResult: result }, ...cachePoint(message.cache)]
    }
  }
}

function encodeParts(
  parts: readonly ContentPart[],
  path: string,
  names: DocumentNames,
  unsupported: Unsupported,
): JsonObject[] {
  return parts.flatMap((part, i) => encodePart(part, `${path}.content[${i}]`, names, unsupported))
}

function encodePart(part: ContentPart, path: string, names: DocumentNames, unsupported: Unsupported): JsonObject[] {
  switch (part.type) {
    case 'text':
      return part.text === '' ? [] : [{ text: part.text }, ...cachePoint(part.cache)]
    case 'image': {
      const source = encodeSource(part.source)
      if (source === null) return none(unsupported, path, 'Bedrock takes images in base64 or from s3://, not by URL.')
      return [{ image: { format: imageFormat(part.source), source } }, ...cachePoint(part.cache)]
    }
    case 'document': {
      const { source, name } = part
      const encoded = source.kind === 'text' ? { text: source.text } : encodeSource(source)
      if (encoded === null)
        return none(unsupported, path, 'Bedrock takes documents in base64 or from s3://, not by URL.')
      const document = { format: documentFormat(source, name), name: names.of(name), source: encoded }
      return [{ document }, ...cachePoint(part.cache)]
    }
    case 'video': {
      const source = encodeSource(part.source)
      if (source === null) return none(unsupported, path, 'Bedrock takes videos in base64 or from s3://, not by URL.')
      return [{ video: { format: extensionOf(part.source) ?? 'mp4', source } }]
    }
    case 'audio':
      return none(unsupported, path, 'Bedrock does not take audio in a conversation.')
  }
}

function none(unsupported: Unsupported, path: string, why: string): [] {
  unsupported(path, why)
  return []
}

type Given = Extract<ContentPart, { type: 'image' }>['source']

function encodeSource(source: Given): JsonObject | null {
  if (source.kind === 'base64') return { bytes: source.data }
  return source.kind === 'url' && source.url.startsWith('s3://') ? { s3Location: { uri: source.url } } : null
}

function imageFormat(source: Given): string {
  const format = extensionOf(source) ?? 'png'
  return format === 'jpg' ? 'jpeg' : format
}

const DOCUMENT_FORMATS: Readonly<Record<string, string>> = {
  'application/pdf': 'pdf',
  'text/csv': 'csv',
  'application/msword': 'doc',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'text/html': 'html',
  'text/plain': 'txt',
  'text/markdown': 'md',
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html */
function documentFormat(source: Given, name: string | null): string {
  if (source.kind === 'text') return 'txt'
  const known = source.kind === 'base64' ? DOCUMENT_FORMATS[source.mediaType] : extensionOf(source)
  return known ?? /\.([a-z]{2,4})$/i.exec(name ?? '')?.[1]?.toLowerCase() ?? 'pdf'
}

function extensionOf(source: Given): string | null {
  if (source.kind === 'base64') return source.mediaType.split('/')[1] ?? null
  return source.kind === 'url' ? (/\.([a-z0-9]{2,4})$/i.exec(source.url)?.[1]?.toLowerCase() ?? null) : null
}

/** Names may have letters, digits, single spaces, hyphens and brackets, and must differ within a request. */
class DocumentNames {
  readonly #taken = new Set<string>()

  of(given: string | null): string {
    const name =
      (given ?? 'document')
        .replace(/\.[a-z]{2,4}$/i, '')
        .replace(/[^A-Za-z0-9()[\]-]+/g, ' ')
        .trim() || 'document'
    let unique = name
    for (let i = 2; this.#taken.has(unique); i++) unique = `${name} ${i}`
    this.#taken.add(unique)
    return unique
  }
}

function toolUseId(id: string): string {
  return id.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64)
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html */
export function cachePoint(cache: CacheControl | null): JsonObject[] {
  return cache === null ? [] : [{ cachePoint: { type: 'default', ...(cache.ttl === '1h' && { ttl: '1h' }) } }]
}
