import { byKind } from '../../chat/content.ts'
import type {
  AssistantMessage,
  CacheControl,
  ContentPart,
  JsonObject,
  Message,
  Source,
  TextPart,
  ToolMessage,
} from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { writeBlock, writeToolCall } from '../../surfaces/chat/write-answer.ts'

type To = Pick<Target, 'unsupported' | 'cacheControl' | 'takesThoughts'>

/** https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages */
export function writeMessages(
  messages: readonly Message[],
  systemRole: 'system' | 'developer' | null,
  to: To,
): JsonObject[] {
  const written: JsonObject[] = []
  const shown: JsonObject[] = []
  messages.forEach((message, i) => {
    if (message.role !== 'tool' && shown.length > 0) written.push({ role: 'user', content: shown.splice(0) })
    written.push(writeMessage(message, `messages[${i}]`, systemRole, to))
    if (message.role === 'tool') shown.push(...writeMedia(message, `messages[${i}]`, to))
  })
  return shown.length > 0 ? [...written, { role: 'user', content: shown }] : written
}

/** Results are text here. What else is in them is shown behind all results of a turn, and says what it belongs to. */
function writeMedia({ toolCallId, content }: ToolMessage, path: string, to: To): JsonObject[] {
  const media = content.flatMap((part, i) => (part.type === 'text' ? [] : writePart(part, `${path}.content[${i}]`, to)))
  return media.length === 0 ? [] : [{ type: 'text', text: `The result of ${toolCallId}:` }, ...media]
}

function writeMessage(message: Message, path: string, systemRole: 'system' | 'developer' | null, to: To): JsonObject {
  switch (message.role) {
    case 'system':
      return {
        role: systemRole ?? (message.isDeveloper ? 'developer' : 'system'),
        content: writeContent(message.content, path, to),
        ...named(message.name),
      }
    case 'user':
      return { role: 'user', content: writeContent(message.content, path, to), ...named(message.name) }
    case 'assistant':
      return writeAssistant(message, to)
    case 'tool':
      return {
        role: 'tool',
        tool_call_id: message.toolCallId,
        content: writeContent(
          message.content.filter((part) => part.type === 'text'),
          path,
          to,
        ),
      }
  }
}

function writeAssistant({ content, audioId, name }: AssistantMessage, { takesThoughts = true }: To): JsonObject {
  const { reasoning: thoughts, text, refusal, toolCalls } = byKind(content)
  // What another thought says nothing that the answer doesn't, and stays behind where it would be refused.
  const reasoning = takesThoughts ? thoughts : []
  return {
    role: 'assistant',
    // Nothing said is null beside something done, and is refused alone.
    content: text ?? (toolCalls.length > 0 || refusal !== null || audioId != null ? null : ''),
    ...(refusal !== null && { refusal }),
    ...(audioId != null && { audio: { id: audioId } }),
    ...(reasoning.length > 0 && {
      ...(reasoning.some((block) => block.text) && {
        reasoning_content: reasoning.map((block) => block.text ?? '').join(''),
      }),
      ...(reasoning.some((block) => block.signature ?? block.encrypted) && {
        reasoning_details: reasoning.map(writeBlock),
      }),
    }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls.map(writeToolCall) }),
    ...named(name),
  }
}

/** Text alone is written as a string: much that calls itself compatible reads nothing else. */
function writeContent(parts: readonly ContentPart[], path: string, to: To): string | JsonObject[] {
  if (
    parts.every((part): part is TextPart => part.type === 'text' && !('cache_control' in writeCache(part.cache, to)))
  ) {
    return parts.map(({ text }) => text).join('\n')
  }
  const written = parts.flatMap((part, i) => writePart(part, `${path}.content[${i}]`, to))
  return written.length > 0 ? written : ''
}

function writePart(part: ContentPart, path: string, to: To): JsonObject[] {
  switch (part.type) {
    case 'text':
      return [{ type: 'text', text: part.text, ...writeCache(part.cache, to) }]
    case 'image': {
      const url = urlOf(part.source)
      if (url === null) to.unsupported(path, 'This provider takes images by URL or in base64.')
      return url === null
        ? []
        : [
            {
              type: 'image_url',
              image_url: { url, ...(part.detail !== null && { detail: part.detail }) },
              ...writeCache(part.cache, to),
            },
          ]
    }
    case 'audio':
      return [{ type: 'input_audio', input_audio: { data: part.data, format: part.format } }]
    case 'video': {
      const url = urlOf(part.source)
      if (url === null) to.unsupported(path, 'This provider takes videos by URL or in base64.')
      return url === null ? [] : [{ type: 'video_url', video_url: { url } }]
    }
    case 'document': {
      const { source, name } = part
      if (source.kind === 'text') return [{ type: 'text', text: source.text, ...writeCache(part.cache, to) }]
      if (source.kind === 'file') return [{ type: 'file', file: { file_id: source.id } }]
      if (source.kind === 'url') {
        to.unsupported(path, 'This provider takes documents in base64, not by URL.')
        return []
      }
      return [{ type: 'file', file: { filename: name ?? 'document.pdf', file_data: urlOf(source)! } }]
    }
  }
}

function urlOf(source: Source): string | null {
  switch (source.kind) {
    case 'url':
      return source.url
    case 'base64':
      return `data:${source.mediaType};base64,${source.data}`
    default:
      return null
  }
}

/**
 * Marks for the prompt cache, for those who know them (https://openrouter.ai/docs/features/prompt-caching). OpenAI caches by itself, and it and others refuse a request with fields that they don't know; a mark
 * bears on no answer, so there it goes no further.
 */
export function writeCache(
  cache: CacheControl | null,
  { cacheControl = false }: Pick<Target, 'cacheControl'>,
): JsonObject {
  return cache === null || !cacheControl
    ? {}
    : { cache_control: { type: 'ephemeral', ...(cache.ttl === '1h' && { ttl: '1h' }) } }
}

function named(name: string | null): JsonObject {
  return name === null ? {} : { name }
}
