import type { AssistantPart, ChatRequest, ContentPart, JsonObject, Source } from '@nemo/codec/chat/request'
import type { Member } from '@nemo/codec/json-members'
import { invalidRequest } from '@nemo/domain/errors'
import { tokensAtMost } from '@nemo/domain/estimate'
import type { Fields } from './extras.ts'

/** What a prompt comes to, whoever reads it. */
export interface PromptSize {
  /** The most, in tokens, but for what the others say. */
  readonly input: number
  /** How many pictures, of which models make more or less: in the input each is `TOKENS_PER_PICTURE`. */
  readonly pictures: number
  /** Whether some of it comes by its address, and may be of any length. */
  readonly isOpen: boolean
  /** How much of the input a provider may leave unread: what was thought in earlier turns, and the seals on it. */
  readonly thoughts: number
}

/** What an image in a message mostly comes to at most: a large picture at full detail (platform.openai.com/docs/guides/images-vision). */
export const TOKENS_PER_PICTURE = 1_600
/** About 10 tokens a second of sound, at 16 kB a second of base64. */
const BASE64_BYTES_PER_AUDIO_TOKEN = 500
/** A document is pictures and text of its pages; a dense one comes to about this. Text is text, in base64. */
const BASE64_BYTES_PER_FILE_TOKEN = 12
const BASE64_BYTES_PER_TEXT_TOKEN = 4
/** Of what is JSON, encrypted, or not known to be text. */
const BYTES_PER_TOKEN = 3
const TOKENS_PER_MESSAGE = 4
/** A name or an id is counted with its message. */
const NAME_LENGTH_MAX = 64

/** The size of a request of chat completions, which is passed on without being read in full. Throws a 400 that names the field. */
export function promptSize({ messages }: Fields, members: readonly Member[]): PromptSize {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw invalidRequest('messages', 'messages must be an array with at least one message.')
  }
  const sum = empty()
  messages.forEach((message, i) => {
    if (typeof message !== 'object' || message === null || typeof message.role !== 'string') {
      throw invalidRequest(`messages[${i}]`, `messages[${i}] must be an object with a role.`)
    }
    addMessage(message, sum)
  })
  let bytes = 0
  for (const { key, valueStart, end } of members) if (isPrompt(key, end - valueStart)) bytes += end - valueStart
  sum.input += Math.ceil(bytes / BYTES_PER_TOKEN)
  return sum
}

/** The same of a request that another API than chat completions has read. */
export function chatSize({ messages, tools, format, rest, untranslatable = [] }: ChatRequest): PromptSize {
  const sum = empty()
  for (const message of messages) {
    sum.input += TOKENS_PER_MESSAGE
    for (const part of message.content) addPart(part, sum)
  }
  for (const { raw, media } of untranslatable) {
    sum.input += tokensOf(raw)
    for (const part of media) addPart(part, sum)
  }
  sum.input += tokensOf([tools, format])
  for (const name in rest) {
    const bytes = NO_PROMPT.has(name) ? 0 : bytesOf(rest[name])
    if (isPrompt(name, bytes)) sum.input += Math.ceil(bytes / BYTES_PER_TOKEN)
  }
  return sum
}

/** What comes to be part of the prompt. */
const PROMPT = new Set(['tools', 'functions', 'response_format', 'prediction', 'extra_body'])
/** What no provider makes part of one; the messages are counted one by one. */
const NO_PROMPT = new Set([
  ...['messages', 'model', 'stream', 'stream_options', 'n', 'max_tokens', 'max_completion_tokens', 'stop', 'seed'],
  ...['temperature', 'top_p', 'top_k', 'min_p', 'top_a', 'frequency_penalty', 'presence_penalty', 'repetition_penalty'],
  ...['logit_bias', 'logprobs', 'top_logprobs', 'tool_choice', 'parallel_tool_calls', 'function_call', 'user', 'store'],
  ...['metadata', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'service_tier', 'modalities'],
  ...['audio', 'reasoning', 'reasoning_effort', 'verbosity', 'thinking', 'web_search_options', 'anthropic_beta'],
  ...['provider', 'transforms', 'route', 'include', 'truncation', 'background', 'previous_response_id', 'speed'],
  ...['context_management', 'diagnostics', 'inference_geo', 'betas'],
])

/** Any other field may be: `documents`, `system_instruction`, what is new. What is shorter is a setting. */
const SETTING_BYTES_MAX = 64

function isPrompt(name: string, bytes: number): boolean {
  if (PROMPT.has(name)) return true
  return bytes > SETTING_BYTES_MAX && !NO_PROMPT.has(name) && !name.startsWith('nemo_')
}

/** A size as it grows: a plain object, since this is done for every request. */
type Sum = { -readonly [F in keyof PromptSize]: PromptSize[F] }

function empty(): Sum {
  return { input: 3, pictures: 0, isOpen: false, thoughts: 0 }
}

function addPictures(count: number, sum: Sum): void {
  sum.pictures += count
  sum.input += count * TOKENS_PER_PICTURE
}

/** A document or a video, in base64, with or without what it is said to be, or by its address. */
function addFile(data: string, sum: Sum): void {
  if (ADDRESS.test(data)) addOpen(sum)
  else addBase64(data.length, TEXT.test(data), sum)
}

function addOpen(sum: Sum): void {
  sum.isOpen = true
  sum.input += TOKENS_PER_PICTURE
}

function addBase64(bytes: number, isText: boolean, sum: Sum): void {
  const perToken = isText ? BASE64_BYTES_PER_TEXT_TOKEN : BASE64_BYTES_PER_FILE_TOKEN
  sum.input += Math.max(TOKENS_PER_PICTURE, Math.ceil(bytes / perToken))
}

function addSound(data: string, sum: Sum): void {
  if (ADDRESS.test(data)) addOpen(sum)
  else sum.input += Math.ceil(data.length / BASE64_BYTES_PER_AUDIO_TOKEN)
}

const ADDRESS = /^(?:https?|gs|s3):/i
const TEXT = /^(?:data:)?(?:text\/|application\/(?:json|xml|yaml|javascript))/i
const TEXTS = new Set<unknown>(['text', 'input_text', 'output_text'])

function addMessage(message: Record<string, unknown>, sum: Sum): void {
  const { content } = message
  if (typeof content === 'string') sum.input += TOKENS_PER_MESSAGE + tokensAtMost(content)
  else {
    sum.input += TOKENS_PER_MESSAGE
    addContent(content, sum)
  }
  let thoughts = 0
  for (const name in message) {
    const value = message[name]
    // A role, a name, an id; what is a number or is not there.
    if (typeof value === 'string' ? value.length <= NAME_LENGTH_MAX : typeof value !== 'object' || value === null)
      continue
    if (name === 'content') continue
    // The same under several names, for those that read the one or the other.
    if (THOUGHTS.has(name)) thoughts = Math.max(thoughts, tokensOf(value))
    else if (name === 'tool_calls') sum.input += tokensAtMost(JSON.stringify(value))
    // Ollama's pictures (https://docs.ollama.com/api/chat).
    else if (name === 'images' && Array.isArray(value)) addPictures(value.length, sum)
    else if (name === 'audio') addAudio(value as JsonObject, sum)
    // A call in its older form, what only one provider knows.
    else sum.input += tokensOf(value)
  }
  if (thoughts > 0) addThoughts(thoughts, sum)
}

const THOUGHTS = new Set(['reasoning', 'reasoning_content', 'reasoning_details'])

function addThoughts(tokens: number, sum: Sum): void {
  sum.input += tokens
  sum.thoughts += tokens
}

/** What was said aloud, as it came in an answer. */
function addAudio({ data, transcript }: JsonObject, sum: Sum): void {
  if (typeof data === 'string') addSound(data, sum)
  if (typeof transcript === 'string') sum.input += tokensAtMost(transcript)
}

function addContent(content: unknown, sum: Sum): void {
  if (typeof content === 'string') sum.input += tokensAtMost(content)
  else if (!Array.isArray(content)) sum.input += content == null ? 0 : tokensOf(content)
  else for (const part of content) addContentPart(part, sum)
}

function addContentPart(part: unknown, sum: Sum): void {
  if (typeof part !== 'object' || part === null) {
    sum.input += typeof part === 'string' ? tokensAtMost(part) : 0
    return
  }
  const { type, text } = part as { type?: unknown; text?: unknown }
  if (TEXTS.has(type) && typeof text === 'string') {
    sum.input += tokensAtMost(text)
    return
  }
  const given = part as JsonObject
  switch (type) {
    case 'image_url':
    case 'input_image':
    case 'image':
      addPictures(1, sum)
      break
    case 'input_audio': {
      const sound = stringIn(given.input_audio, ['data', 'url'])
      if (sound === null) addUnknown(part, sum)
      else addSound(sound, sum)
      break
    }
    case 'file':
    case 'document_url':
    case 'file_url':
    case 'pdf_url':
    case 'video_url': {
      const { file_id: id } = (given[type] ?? {}) as { file_id?: unknown }
      if (typeof id === 'string') sum.isOpen = true
      const file = stringIn(given[type], ['file_data', 'file_url', 'url', 'data'])
      if (file === null) addUnknown(part, sum)
      else addFile(file, sum)
      break
    }
    case 'refusal':
    case 'thinking':
      sum.input += tokensOf(part)
      break
    default:
      addUnknown(part, sum)
  }
}

function addUnknown(part: object, sum: Sum): void {
  sum.input += Math.max(TOKENS_PER_PICTURE, tokensOf(part))
}

function stringIn(value: unknown, names: readonly string[]): string | null {
  if (typeof value === 'string') return value
  const found = names.map((name) => (value as JsonObject | null | undefined)?.[name])
  return found.find((one) => typeof one === 'string') ?? null
}

function addPart(part: ContentPart | AssistantPart, sum: Sum): void {
  switch (part.type) {
    case 'text':
    case 'refusal':
      sum.input += tokensAtMost(part.text)
      break
    case 'reasoning':
      addThoughts(part.text === null ? tokensOf(part.encrypted ?? '') : tokensAtMost(part.text), sum)
      break
    case 'call':
      sum.input += tokensAtMost(part.name + part.arguments)
      break
    case 'audio':
      addSound(part.data, sum)
      break
    case 'image':
      addPictures(1, sum)
      break
    case 'document':
    case 'video':
      addSource(part.source, sum)
      break
    default:
      // Rather too much for a kind that is new here than nothing.
      sum.input += tokensOf(part)
  }
}

function addSource(source: Source, sum: Sum): void {
  switch (source.kind) {
    case 'text':
      sum.input += tokensAtMost(source.text)
      break
    case 'base64':
      addBase64(source.data.length, TEXT.test(source.mediaType), sum)
      break
    default:
      addOpen(sum)
  }
}

function tokensOf(value: unknown): number {
  return Math.ceil(bytesOf(value) / BYTES_PER_TOKEN)
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
}
