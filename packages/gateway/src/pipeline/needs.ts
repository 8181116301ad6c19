import type { ChatRequest } from '@nemo/codec/chat/request'
import type { Fields } from './extras.ts'

/** What a chat request can't do without, as capability tags. What is malformed is for others to refuse. */
export function needsOf(asked: { readonly fields: Fields } | { readonly chat: ChatRequest }): string[] {
  const needs = 'chat' in asked ? chatNeeds(asked.chat) : fieldNeeds(asked.fields)
  return Object.entries(needs).flatMap(([tag, isNeeded]) => (isNeeded ? [tag] : []))
}

type Needed = Readonly<Record<'function-calling' | 'json-schema' | 'vision' | 'audio-input', boolean>>

function chatNeeds({ tools, format, messages }: ChatRequest): Needed {
  const has = (type: 'image' | 'audio') =>
    messages.some(({ content }) => content.some((part: { readonly type: string }) => part.type === type))
  return {
    'function-calling': tools.length > 0,
    'json-schema': format.type === 'schema',
    vision: has('image'),
    'audio-input': has('audio'),
  }
}

/** The same of the fields of chat completions, which most requests are, and which are passed on without being read in full. */
function fieldNeeds({ tools, functions, response_format: format, messages }: Fields): Needed {
  const has = (type: 'image_url' | 'input_audio') =>
    Array.isArray(messages) &&
    messages.some((message) => Array.isArray(message?.content) && message.content.some(isOfType(type)))
  return {
    'function-calling': hasItems(tools) || hasItems(functions),
    'json-schema': (format as { type?: unknown } | null | undefined)?.type === 'json_schema',
    vision: has('image_url'),
    'audio-input': has('input_audio'),
  }
}

function isOfType(type: string): (part: unknown) => boolean {
  return (part) => (part as { type?: unknown } | null)?.type === type
}

function hasItems(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}
