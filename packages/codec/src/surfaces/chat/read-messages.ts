import { invalidRequest } from '@nemo/domain/errors'
import type {
  AssistantMessage,
  ContentPart,
  JsonObject,
  Message,
  ReasoningBlock,
  Refusal,
  Source,
  TextPart,
  ToolCall,
} from '../../chat/request.ts'
import { arrayAt, isObject, objectAt, oneOf, readCacheControl, readDataUrl, readText, textAt } from '../../fields.ts'
import { inOrder, type PlacedThought, readRuns } from './runs.ts'

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'] as const

/** The messages of a chat completion (https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages). Throws a 400 that names the place. */
export function readMessages(given: unknown): Message[] {
  const messages = arrayAt(given, 'messages')
  if (messages.length === 0) throw invalidRequest('messages', 'messages must have at least one message.')
  return messages.map((message, i) => readMessage(objectAt(message, `messages[${i}]`), `messages[${i}]`))
}

function readMessage(message: JsonObject, path: string): Message {
  const role = oneOf(message.role, ROLES, `${path}.role`)
  const name = readText(message, 'name', `${path}.name`)
  switch (role) {
    case 'system':
    case 'developer':
      return { role: 'system', isDeveloper: role === 'developer', content: readTexts(message, path), name }
    case 'user':
      return { role, content: readParts(message, path), name }
    case 'assistant':
      return readAssistant(message, path, name)
    case 'tool':
      return {
        role,
        toolCallId: textAt(message.tool_call_id, `${path}.tool_call_id`),
        content: readParts(message, path),
        isError: message.is_error === true,
        cache: readCacheControl(message, path),
      }
    // Of before there were tools: the result of the one function that was called, by its name.
    case 'function':
      return {
        role: 'tool',
        toolCallId: legacyId(textAt(message.name, `${path}.name`)),
        content: message.content == null ? [] : readParts(message, path),
        isError: false,
        cache: null,
      }
  }
}

function readAssistant(message: JsonObject, path: string, name: string | null): AssistantMessage {
  const parts = message.content == null ? [] : contentOf(message, path)
  const refusals: string[] = []
  const said: (TextPart | Refusal)[] = []
  parts.forEach((part, i) => {
    if (typeof part === 'string') said.push({ type: 'text', text: part, cache: null })
    else if (part.type === 'refusal') refusals.push(textAt(part.refusal, `${path}.content[${i}].refusal`))
    // Others' reasoning comes back as parts of the content: Mistral's `thinking`.
    else if (part.type !== 'thinking') said.push(readTextPart(part, `${path}.content[${i}]`))
  })
  const refusal = readText(message, 'refusal', `${path}.refusal`) ?? (refusals.length > 0 ? refusals.join('') : null)
  if (refusal !== null) said.push({ type: 'refusal', text: refusal })
  return {
    role: 'assistant',
    content: inOrder(readReasoning(message, path), said, readToolCalls(message, path)),
    ...(message.audio != null && {
      audioId: textAt(objectAt(message.audio, `${path}.audio`).id, `${path}.audio.id`),
    }),
    name,
    cache: readCacheControl(message, path),
  }
}

/** `reasoning_details` as OpenRouter has them, `thinking_blocks` as LiteLLM has them, else the bare `reasoning_content`. */
function readReasoning(message: JsonObject, path: string): PlacedThought[] {
  if (message.reasoning_details != null) {
    return arrayAt(message.reasoning_details, `${path}.reasoning_details`).flatMap((detail, i): PlacedThought[] => {
      const block = objectAt(detail, `${path}.reasoning_details[${i}]`)
      const [signature, id, after] = [textOrNull(block.signature), textOrNull(block.id), readRuns(block.after)]
      if (block.type === 'reasoning.encrypted') {
        const encrypted = textAt(block.data, `${path}.reasoning_details[${i}].data`)
        return [{ block: { type: 'reasoning', text: null, signature: null, encrypted, id }, after }]
      }
      const text = textOrNull(block.text) ?? textOrNull(block.summary)
      if (text === null && signature === null) return []
      return [{ block: { type: 'reasoning', text: text ?? '', signature, encrypted: null, id }, after }]
    })
  }
  if (message.thinking_blocks != null) {
    return arrayAt(message.thinking_blocks, `${path}.thinking_blocks`).map((given, i) => {
      const block = objectAt(given, `${path}.thinking_blocks[${i}]`)
      const isRedacted = block.type === 'redacted_thinking'
      return unplaced({
        type: 'reasoning',
        text: isRedacted ? null : (textOrNull(block.thinking) ?? ''),
        signature: isRedacted ? null : textOrNull(block.signature),
        encrypted: isRedacted ? textAt(block.data, `${path}.thinking_blocks[${i}].data`) : null,
        id: null,
      })
    })
  }
  const text = textOrNull(message.reasoning_content) ?? textOrNull(message.reasoning)
  return text ? [unplaced({ type: 'reasoning', text, signature: null, encrypted: null, id: null })] : []
}

function unplaced(block: ReasoningBlock): PlacedThought {
  return { block, after: [] }
}

function readToolCalls(message: JsonObject, path: string): ToolCall[] {
  if (message.function_call != null) {
    const call = objectAt(message.function_call, `${path}.function_call`)
    const name = textAt(call.name, `${path}.function_call.name`)
    return [{ type: 'call', id: legacyId(name), name, arguments: textOrNull(call.arguments) ?? '', signature: null }]
  }
  if (message.tool_calls == null) return []
  return arrayAt(message.tool_calls, `${path}.tool_calls`).map((given, i) => {
    const at = `${path}.tool_calls[${i}]`
    const call = objectAt(given, at)
    const called = objectAt(call.type === 'custom' ? call.custom : call.function, `${at}.function`)
    const google = isObject(call.extra_content) && isObject(call.extra_content.google) ? call.extra_content.google : {}
    return {
      type: 'call',
      id: textAt(call.id, `${at}.id`),
      name: textAt(called.name, `${at}.function.name`),
      arguments: textOrNull(called.arguments) ?? textOrNull(called.input) ?? '',
      signature: textOrNull(google.thought_signature),
    }
  })
}

/** Calls had no ids then; a conversation has one call of a function at a time. */
function legacyId(name: string): string {
  return `call_${name}`
}

function readTexts(message: JsonObject, path: string): TextPart[] {
  return contentOf(message, path).map((part, i) =>
    typeof part === 'string'
      ? { type: 'text', text: part, cache: readCacheControl(message, path) }
      : readTextPart(part, `${path}.content[${i}]`),
  )
}

function readTextPart(part: JsonObject, path: string): TextPart {
  oneOf(part.type, ['text'], `${path}.type`)
  return { type: 'text', text: textAt(part.text, `${path}.text`), cache: readCacheControl(part, path) }
}

function readParts(message: JsonObject, path: string): ContentPart[] {
  return contentOf(message, path).map((part, i) =>
    typeof part === 'string'
      ? { type: 'text', text: part, cache: readCacheControl(message, path) }
      : readPart(part, `${path}.content[${i}]`),
  )
}

function contentOf(message: JsonObject, path: string): (string | JsonObject)[] {
  const { content } = message
  if (typeof content === 'string') return [content]
  if (!Array.isArray(content)) {
    throw invalidRequest(`${path}.content`, `${path}.content must be a string or an array of parts.`)
  }
  return content.map((part, i) => objectAt(part, `${path}.content[${i}]`))
}

const PART_TYPES = ['text', 'image_url', 'input_audio', 'file', 'video_url'] as const

function readPart(part: JsonObject, path: string): ContentPart {
  const type = oneOf(part.type, PART_TYPES, `${path}.type`)
  const cache = readCacheControl(part, path)
  switch (type) {
    case 'text':
      return readTextPart(part, path)
    case 'image_url': {
      // Some clients send the URL itself where the object with it belongs.
      const image =
        typeof part.image_url === 'string' ? { url: part.image_url } : objectAt(part.image_url, `${path}.image_url`)
      return {
        type: 'image',
        source: sourceOf(textAt(image.url, `${path}.image_url.url`)),
        detail: textOrNull((image as JsonObject).detail),
        cache,
      }
    }
    case 'input_audio': {
      const audio = objectAt(part.input_audio, `${path}.input_audio`)
      return {
        type: 'audio',
        data: textAt(audio.data, `${path}.input_audio.data`),
        format: textAt(audio.format, `${path}.input_audio.format`),
      }
    }
    case 'file':
      return readFile(objectAt(part.file, `${path}.file`), path, cache)
    case 'video_url': {
      const video = objectAt(part.video_url, `${path}.video_url`)
      return { type: 'video', source: sourceOf(textAt(video.url, `${path}.video_url.url`)) }
    }
  }
}

function readFile(file: JsonObject, path: string, cache: TextPart['cache']): ContentPart {
  const name = readText(file, 'filename', `${path}.file.filename`)
  const data = readText(file, 'file_data', `${path}.file.file_data`)
  const id = readText(file, 'file_id', `${path}.file.file_id`)
  if (data !== null) {
    const source = sourceOf(data)
    // Bare base64, without a `data:` before it, is taken for the PDF that it nearly always is.
    const known: Source =
      source.kind === 'base64' || /^https?:/i.test(data)
        ? source
        : { kind: 'base64', mediaType: 'application/pdf', data }
    return { type: 'document', source: known, name, cache }
  }
  if (id === null) throw invalidRequest(`${path}.file`, `${path}.file must have file_data or file_id.`)
  return { type: 'document', source: { kind: 'file', id }, name, cache }
}

function sourceOf(url: string): Source {
  const inline = readDataUrl(url)
  return inline ? { kind: 'base64', ...inline } : { kind: 'url', url }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
