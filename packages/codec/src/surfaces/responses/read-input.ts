import { invalidRequest } from '@nemo/domain/errors'
import type { AssistantPart, ContentPart, JsonObject, Message, ReasoningBlock, Source } from '../../chat/request.ts'
import type { Untranslated } from '../../chat/untranslatable.ts'
import { arrayAt, isObject, objectAt, oneOf, readDataUrl, readText, textAt } from '../../fields.ts'

/**
 * `instructions` and `input` of a response (https://platform.openai.com/docs/api-reference/responses/create#responses-create-input). Throws a 400 that names the place. `others` gets the items that only
 * OpenAI's models know: what was done with tools that aren't functions, and kinds that aren't known here.
 */
export function readInput(body: JsonObject, others: Untranslated): Message[] {
  const instructions = readText(body, 'instructions')
  const messages: Message[] = instructions === null ? [] : [system(instructions, false)]
  if (typeof body.input === 'string') return [...messages, user([{ type: 'text', text: body.input, cache: null }])]
  const items = arrayAt(body.input, 'input')
  if (items.length === 0 && instructions === null) throw invalidRequest('input', 'input must have at least one item.')
  const turn = new AssistantTurn(messages)
  items.forEach((given, i) => {
    const path = `input[${i}]`
    const item = objectAt(given, path)
    switch (item.type ?? (item.role == null && item.id != null ? 'item_reference' : 'message')) {
      case 'message':
        readMessage(item, path, turn, others)
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
          content: readContent(item.output, `${path}.output`, others),
          isError: false,
          cache: null,
        })
        break
      // What it refers to can't be seen, nor held for.
      case 'item_reference':
        throw invalidRequest(
          path,
          `${path} refers to what is kept elsewhere. Send the item itself: clients that send references send items where store is false.`,
        )
      default:
        addItem(item, path, others)
    }
  })
  turn.end()
  return messages
}

function addItem(item: JsonObject, path: string, others: Untranslated): void {
  const type = textAt(item.type, `${path}.type`)
  others.add(path, `an item of type ${type}`, ...withoutPicture(item))
}

/** A picture that was made (https://platform.openai.com/docs/guides/tools-image-generation), which may be meant by its id alone, and what a screen showed (…/guides/tools-computer-use). */
function withoutPicture(item: JsonObject): [JsonObject, ContentPart[]] {
  if (item.type === 'image_generation_call') {
    const { result, ...raw } = item
    return typeof result === 'object' && result !== null ? [item, []] : [raw, [pictureOf(String(result ?? ''))]]
  }
  if (item.type === 'computer_call_output' && isObject(item.output)) {
    const { image_url: url, ...output } = item.output
    if (typeof url === 'string') return [{ ...item, output }, [pictureOf(url)]]
  }
  return [item, []]
}

function pictureOf(url: string): ContentPart {
  return { type: 'image', source: { kind: 'url', url }, detail: null, cache: null }
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

function readMessage(item: JsonObject, path: string, turn: AssistantTurn, others: Untranslated): void {
  const role = oneOf(item.role, ['user', 'assistant', 'system', 'developer'], `${path}.role`)
  if (role === 'assistant') {
    // What it says behind calls that wait for their outputs is of the same turn: nothing may come between those and these.
    partsOf(item.content, `${path}.content`).forEach((part, i) => {
      const at = `${path}.content[${i}]`
      if (part.type === 'refusal') turn.content.push({ type: 'refusal', text: textAt(part.refusal, at) })
      else if (part.text != null) turn.content.push({ type: 'text', text: textAt(part.text, at), cache: null })
      else addPart(part, at, others)
    })
    return
  }
  turn.end()
  const content = readContent(item.content, `${path}.content`, others)
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

function readContent(content: unknown, path: string, others: Untranslated): ContentPart[] {
  return partsOf(content, path).flatMap((part, i) => readPart(part, `${path}[${i}]`, others) ?? [])
}

/** Null, once it is noted, where it is of a kind that isn't known here. */
function readPart(part: JsonObject, path: string, others: Untranslated): ContentPart | null {
  switch (part.type) {
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
    default:
      addPart(part, path, others)
      return null
  }
}

function addPart(part: JsonObject, path: string, others: Untranslated): void {
  others.add(path, `a part of type ${textAt(part.type, `${path}.type`)}`, part)
}

function sourceOf(url: string): Source {
  const inline = readDataUrl(url)
  return inline ? { kind: 'base64', ...inline } : { kind: 'url', url }
}
