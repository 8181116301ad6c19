import { parseArguments } from '../../chat/arguments.ts'
import type { ContentPart, JsonObject, Message, Source, SystemMessage } from '../../chat/request.ts'

type Unsupported = (param: string, why: string) => void

/** `systemInstruction` and `contents`: https://ai.google.dev/api/caching#Content */
export function encodeContents(
  messages: readonly Message[],
  unsupported: Unsupported,
): { system: JsonObject[]; contents: JsonObject[] } {
  const leading = messages.findIndex((message) => message.role !== 'system')
  const first = leading < 0 ? messages.length : leading
  const system = messages
    .slice(0, first)
    .flatMap((message) => (message as SystemMessage).content.map(({ text }) => ({ text })))
  const names = namesOfCalls(messages)
  const contents: { role: string; parts: JsonObject[] }[] = []
  for (let i = first; i < messages.length; i++) {
    const message = messages[i]!
    const role = message.role === 'assistant' ? 'model' : 'user'
    const parts = encodeMessage(message, `messages[${i}]`, names, unsupported)
    if (parts.length === 0) continue
    const last = contents.at(-1)
    // Turns alternate, and the results of one turn's calls belong together.
    if (last?.role === role) last.parts.push(...parts)
    else contents.push({ role, parts })
  }
  return { system, contents }
}

/** A result names its function, which a result of chat completions doesn't. */
function namesOfCalls(messages: readonly Message[]): Map<string, string> {
  const names = new Map<string, string>()
  for (const message of messages) {
    if (message.role === 'assistant') for (const { id, name } of message.toolCalls) names.set(id, name)
  }
  return names
}

function encodeMessage(
  message: Message,
  path: string,
  names: ReadonlyMap<string, string>,
  unsupported: Unsupported,
): JsonObject[] {
  switch (message.role) {
    // The API has system instructions at the start only. What comes later keeps its place, and says what it is.
    case 'system':
      return message.content.map(({ text }) => ({ text: `<system>${text}</system>` }))
    case 'user':
      return encodeParts(message.content, path, unsupported)
    case 'assistant': {
      const parts: JsonObject[] = []
      // A signature stands at the part that follows the thought it signs (https://ai.google.dev/gemini-api/docs/thought-signatures).
      let signature: string | null = null
      for (const block of message.reasoning) {
        if (block.text) parts.push({ text: block.text, thought: true })
        signature = block.signature ?? signature
      }
      for (const { text } of message.content) {
        if (text === '') continue
        parts.push({
          text,
          ...(signature !== null && message.toolCalls.length === 0 && { thoughtSignature: signature }),
        })
        signature = message.toolCalls.length === 0 ? null : signature
      }
      if (message.refusal) parts.push({ text: message.refusal })
      message.toolCalls.forEach((call, i) => {
        const args = parseArguments(call.arguments, `${path}.tool_calls[${i}].function.arguments`)
        const own = call.signature ?? (i === 0 ? signature : null)
        parts.push({
          functionCall: { id: call.id, name: call.name, args },
          ...(own !== null && { thoughtSignature: own }),
        })
      })
      return parts
    }
    case 'tool':
      return encodeResult(message, path, names, unsupported)
  }
}

function encodeResult(
  { toolCallId, content, isError }: Extract<Message, { role: 'tool' }>,
  path: string,
  names: ReadonlyMap<string, string>,
  unsupported: Unsupported,
): JsonObject[] {
  const text = content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
  const parts = encodeParts(
    content.filter((part) => part.type !== 'text'),
    path,
    unsupported,
  )
  const response = isError ? { error: text } : (objectOf(text) ?? { result: text })
  const name = names.get(toolCallId) ?? toolCallId
  return [{ functionResponse: { id: toolCallId, name, response, ...(parts.length > 0 && { parts }) } }]
}

function objectOf(json: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null
  } catch {
    return null
  }
}

function encodeParts(parts: readonly ContentPart[], path: string, unsupported: Unsupported): JsonObject[] {
  return parts.flatMap((part, i): JsonObject[] => {
    switch (part.type) {
      case 'text':
        return part.text === '' ? [] : [{ text: part.text }]
      case 'audio':
        return [{ inlineData: { mimeType: `audio/${part.format}`, data: part.data } }]
      case 'image':
        return encodeSource(part.source, 'image/jpeg')
      case 'document':
        return encodeSource(part.source, 'application/pdf')
      case 'video':
        return encodeSource(part.source, 'video/mp4')
      default:
        unsupported(`${path}.content[${i}]`, 'Gemini does not take this part.')
        return []
    }
  })
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  pdf: 'application/pdf',
  mp4: 'video/mp4',
  mov: 'video/mov',
  webm: 'video/webm',
}

function encodeSource(source: Source, otherwise: string): JsonObject[] {
  switch (source.kind) {
    case 'base64':
      return [{ inlineData: { mimeType: source.mediaType, data: source.data } }]
    case 'text':
      return [{ text: source.text }]
    case 'file':
      return [{ fileData: { mimeType: otherwise, fileUri: source.id } }]
    case 'url': {
      const extension = /\.([a-z0-9]+)(?:[?#]|$)/i.exec(source.url)?.[1]?.toLowerCase() ?? ''
      return [{ fileData: { mimeType: MEDIA_TYPES[extension] ?? otherwise, fileUri: source.url } }]
    }
  }
}
