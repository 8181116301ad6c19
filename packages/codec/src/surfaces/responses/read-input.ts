import { invalidRequest } from '@nemo/domain/errors'
import type { AssistantPart, ContentPart, JsonObject, Message, ReasoningBlock, Source } from '../../chat/request.ts'
import { arrayAt, objectAt, oneOf, readDataUrl, readText, textAt } from '../../fields.ts'

/** `instructions` and `input` of a response (https://platform.openai.com/docs/api-reference/responses/create#responses-create-input). Throws a 400 that names the place. */
export function readInput(body: JsonObject): Message[] {
  const instructions = readText(body, 'instructions')
  const messages: Message[] = instructions === null ? [] : [system(instructions, false)]
  if (typeof body.input === 'string') return [...messages, user([{ type: 'text', text: body.input, cache: null }])]
  const items = arrayAt(body.input, 'input')
  if (items.length === 0 && instructions === null) throw invalidRequest('input', 'input must have at least one item.')
  const turn = new AssistantTurn(messages)
  items.forEach((given, i) => {
    const path = `input[${i}]`
    const item = objectAt(given, path)
    switch (item.type ?? 'message') {
      case 'message':
        readMessage(item, path, turn)
        break
      case 'reasoning':
        turn.content.push(readReasoning(item))
        break
      case 'function_call':
      case 'custom_tool_call':
        turn.content.push({
          type: 'call',
          id: textAt(item.call_id, `${path}.call_id`),
          name: textAt(item.name, `${path}.name`),
          arguments: textAt(item.arguments ?? item.input ?? '', `${path}.arguments`),
          signature: null,
        })
        break
      case 'function_call_output':
      case 'custom_tool_call_output':
        turn.end()
        messages.push({
          role: 'tool',
          toolCallId: textAt(item.call_id, `${path}.call_id`),
          content: readContent(item.output, `${path}.output`),
          isError: false,
          cache: null,
        })
        break
      default:
        throw invalidRequest(`${path}.type`, `An item of type ${String(item.type)} can't be given to this model.`)
    }
  })
  turn.end()
  return messages
}

/** What an assistant did comes in items of its own; a turn of it is one message. */
class AssistantTurn {
  content: AssistantPart[] = []
  readonly messages: Message[]

  constructor(messages: Message[]) {
    this.messages = messages
  }

  end(): void {
    const { content } = this
    // Thoughts that nothing was said or done after were of a turn that failed.
    if (content.some(({ type }) => type !== 'reasoning')) {
      this.messages.push({ role: 'assistant', content, name: null, cache: null })
    }
    this.content = []
  }
}

function readMessage(item: JsonObject, path: string, turn: AssistantTurn): void {
  const role = oneOf(item.role, ['user', 'assistant', 'system', 'developer'], `${path}.role`)
  if (role === 'assistant') {
    // What it says behind calls that wait for their outputs is of the same turn: nothing may come between those and these.
    for (const part of partsOf(item.content, `${path}.content`)) {
      if (part.type === 'refusal') {
        turn.content.push({ type: 'refusal', text: textAt(part.refusal, `${path}.content`) })
      } else turn.content.push({ type: 'text', text: textAt(part.text, `${path}.content`), cache: null })
    }
    return
  }
  turn.end()
  const content = readContent(item.content, `${path}.content`)
  if (role === 'user') turn.messages.push(user(content))
  else {
    const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
    turn.messages.push(system(text, role === 'developer'))
  }
}

function system(text: string, isDeveloper: boolean): Message {
  return { role: 'system', isDeveloper, content: [{ type: 'text', text, cache: null }], name: null }
}

function user(content: readonly ContentPart[]): Message {
  return { role: 'user', content, name: null }
}

function readReasoning(item: JsonObject): ReasoningBlock {
  const texts = [item.content, item.summary].flatMap((parts) => (Array.isArray(parts) ? parts : []))
  const text = texts.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('\n')
  const given = typeof item.encrypted_content === 'string' ? item.encrypted_content : null
  const signature = given?.startsWith(SIGNATURE) ? given.slice(SIGNATURE.length) : null
  const sealed = given?.startsWith(SEALED) ? given.slice(SEALED.length) : null
  return {
    type: 'reasoning',
    text: text === '' && signature === null ? null : text,
    signature,
    encrypted: signature === null ? (sealed ?? given) : null,
    id: sealed === null && typeof item.id === 'string' ? item.id : null,
  }
}

/** What a signature of another dialect, and a thought that only its provider can read, travel as in the one field that must come back unchanged. */
export const SIGNATURE = 'nemo-signature:'
export const SEALED = 'nemo-sealed:'

function partsOf(content: unknown, path: string): JsonObject[] {
  if (typeof content === 'string') return [{ type: 'input_text', text: content }]
  return arrayAt(content, path).map((part, i) => objectAt(part, `${path}[${i}]`))
}

function readContent(content: unknown, path: string): ContentPart[] {
  return partsOf(content, path).map((part, i) => readPart(part, `${path}[${i}]`))
}

function readPart(part: JsonObject, path: string): ContentPart {
  switch (oneOf(part.type, ['input_text', 'output_text', 'input_image', 'input_file', 'input_audio'], `${path}.type`)) {
    case 'input_text':
    case 'output_text':
      return { type: 'text', text: textAt(part.text, `${path}.text`), cache: null }
    case 'input_image': {
      const id = readText(part, 'file_id', `${path}.file_id`)
      const source: Source = id === null ? sourceOf(textAt(part.image_url, `${path}.image_url`)) : { kind: 'file', id }
      return { type: 'image', source, detail: readText(part, 'detail', `${path}.detail`), cache: null }
    }
    case 'input_file': {
      const name = readText(part, 'filename', `${path}.filename`)
      const url = readText(part, 'file_url', `${path}.file_url`) ?? readText(part, 'file_data', `${path}.file_data`)
      const source: Source =
        url === null ? { kind: 'file', id: textAt(part.file_id, `${path}.file_id`) } : sourceOf(url)
      return { type: 'document', source, name, cache: null }
    }
    case 'input_audio': {
      const audio = objectAt(part.input_audio, `${path}.input_audio`)
      const format = textAt(audio.format, `${path}.input_audio.format`)
      return { type: 'audio', data: textAt(audio.data, `${path}.input_audio.data`), format }
    }
  }
}

function sourceOf(url: string): Source {
  const inline = readDataUrl(url)
  return inline ? { kind: 'base64', ...inline } : { kind: 'url', url }
}
