import { parseArguments } from '../../chat/arguments.ts'
import type { ContentPart, JsonObject, Message, Source, SystemMessage } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'

type Unsupported = (param: string, why: string) => void

/** `systemInstruction` and `contents`: https://ai.google.dev/api/caching#Content */
export function encodeContents(
  messages: readonly Message[],
  { model, hosting, unsupported }: Pick<Target, 'model' | 'hosting' | 'unsupported'>,
): { system: JsonObject[]; contents: JsonObject[] } {
  const leading = messages.findIndex((message) => message.role !== 'system')
  const first = leading < 0 ? messages.length : leading
  const system = messages
    .slice(0, first)
    .flatMap((message) => (message as SystemMessage).content.map(({ text }) => ({ text })))
  const calls: Calls = {
    named: namesOfCalls(messages),
    haveIds: hosting !== 'vertex',
    areSigned: signsCalls(model),
  }
  const contents: { role: string; parts: Encoded[] }[] = []
  for (let i = first; i < messages.length; i++) {
    const message = messages[i]!
    const role = message.role === 'assistant' ? 'model' : 'user'
    const parts = encodeMessage(message, `messages[${i}]`, calls, unsupported)
    if (parts.length === 0) continue
    const last = contents.at(-1)
    // Turns alternate, and the results of one turn's calls belong together.
    if (last?.role === role) last.parts.push(...parts)
    else contents.push({ role, parts })
  }
  for (const { role, parts } of contents) if (role === 'user') sortResults(parts, [...calls.named.keys()])
  // Instructions alone are nothing that could be answered.
  if (contents.length === 0 && system.length > 0) return { system: [], contents: [{ role: 'user', parts: system }] }
  return { system, contents: contents.map(({ role, parts }) => ({ role, parts: parts.map(({ part }) => part) })) }
}

/** A part, and which call it is the result of. */
type Encoded = { part: JsonObject; resultOf?: string }

/** What is to be known of all calls of a conversation. */
type Calls = {
  readonly named: ReadonlyMap<string, string>
  /** Vertex AI knows no ids of calls: results are told apart by their names and their order. */
  readonly haveIds: boolean
  readonly areSigned: boolean
}

/** Models from Gemini 3 on refuse what they called without their signature (https://ai.google.dev/gemini-api/docs/thought-signatures). */
export function signsCalls(model: string): boolean {
  return /gemini-(?:[3-9]|\d{2})/.test(model)
}

/** Results take each other's places until they are in the order of the calls; other parts stay where they are. */
function sortResults(parts: Encoded[], ids: readonly string[]): void {
  const order = ({ resultOf }: Encoded) => ids.indexOf(resultOf!)
  const sorted = parts.filter(({ resultOf }) => resultOf !== undefined).sort((a, b) => order(a) - order(b))
  parts.forEach(({ resultOf }, i) => {
    if (resultOf !== undefined) parts[i] = sorted.shift()!
  })
}

/** A result names its function, which a result of chat completions doesn't. */
function namesOfCalls(messages: readonly Message[]): Map<string, string> {
  const names = new Map<string, string>()
  for (const message of messages) {
    if (message.role === 'assistant') for (const { id, name } of message.toolCalls) names.set(id, name)
  }
  return names
}

function encodeMessage(message: Message, path: string, calls: Calls, unsupported: Unsupported): Encoded[] {
  switch (message.role) {
    // The API has system instructions at the start only. What comes later keeps its place, and says what it is.
    case 'system':
      return message.content.map(({ text }) => ({ part: { text: `<system>${text}</system>` } }))
    case 'user':
      return encodeParts(message.content, path, unsupported).map((part) => ({ part }))
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
        // What another model called has no signature; this is what Google wants in its place.
        const otherwise = calls.areSigned ? 'skip_thought_signature_validator' : null
        const own = call.signature ?? (i === 0 ? (signature ?? otherwise) : null)
        parts.push({
          functionCall: { ...(calls.haveIds && { id: call.id }), name: call.name, args },
          ...(own !== null && { thoughtSignature: own }),
        })
      })
      return parts.map((part) => ({ part }))
    }
    case 'tool':
      return [encodeResult(message, path, calls, unsupported)]
  }
}

function encodeResult(
  { toolCallId, content, isError }: Extract<Message, { role: 'tool' }>,
  path: string,
  { named, haveIds }: Calls,
  unsupported: Unsupported,
): Encoded {
  const text = content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
  const parts = encodeParts(
    content.filter((part) => part.type !== 'text'),
    path,
    unsupported,
  )
  const response = isError ? { error: text } : (objectOf(text) ?? { result: text })
  const name = named.get(toolCallId) ?? toolCallId
  return {
    part: {
      functionResponse: { ...(haveIds && { id: toolCallId }), name, response, ...(parts.length > 0 && { parts }) },
    },
    resultOf: toolCallId,
  }
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
