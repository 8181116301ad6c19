import { cutAndHashed } from '../crc32.ts'
import type { StreamDecoder, WireEvent } from '../dialect.ts'
import type { ChatAnswer, StreamPart } from './answer.ts'
import type { ChatRequest, ToolChoice } from './request.ts'

/** What a dialect takes as the name of a tool. */
export interface NameRule {
  /** What can't stand in one, with the place before a beginning that can't be one; global. */
  readonly outside: RegExp
  readonly lengthMax: number
}

/** The caller's names by those that the provider gets in their place. */
export type OriginalNames = ReadonlyMap<string, string>

/**
 * The request with names of tools that the provider takes: those that it doesn't are cut and marked with a hash of the whole, the same in every call, and no two alike. What clients name after their servers of tools is
 * often longer than the 64 characters of OpenAI, Bedrock and Gemini (https://github.com/BerriAI/litellm/issues/17904).
 */
export function fitNames(request: ChatRequest, rule: NameRule): { request: ChatRequest; originals: OriginalNames } {
  const names = namesIn(request)
  const fitted = new Map<string, string>()
  const originals = new Map<string, string>()
  for (const name of names) {
    if (fits(name, rule)) continue
    const safe = name.replace(rule.outside, '_')
    let other = cutAndHashed(safe, rule.lengthMax, name)
    for (let n = 2; names.has(other) || originals.has(other); n++) {
      other = cutAndHashed(safe, rule.lengthMax, name + n)
    }
    fitted.set(name, other)
    originals.set(other, name)
  }
  return { request: originals.size === 0 ? request : renamed(request, fitted), originals }
}

function namesIn({ tools, toolChoice, messages }: ChatRequest): Set<string> {
  const names = new Set<string>()
  for (const tool of tools) if (tool.type === 'function') names.add(tool.name)
  if (toolChoice?.type === 'function') names.add(toolChoice.name)
  if (toolChoice?.type === 'allowed') for (const name of toolChoice.names) names.add(name)
  for (const message of messages) {
    if (message.role !== 'assistant') continue
    for (const part of message.content) if (part.type === 'call') names.add(part.name)
  }
  return names
}

function fits(name: string, { outside, lengthMax }: NameRule): boolean {
  return name !== '' && name.length <= lengthMax && name.search(outside) < 0
}

function renamed(request: ChatRequest, names: ReadonlyMap<string, string>): ChatRequest {
  const { tools, toolChoice, messages } = request
  const withName = <T extends { readonly name: string }>(one: T): T => ({
    ...one,
    name: names.get(one.name) ?? one.name,
  })
  return {
    ...request,
    tools: tools.map((tool) => (tool.type === 'function' ? withName(tool) : tool)),
    toolChoice: toolChoice && renamedChoice(toolChoice, names),
    messages: messages.map((message) =>
      message.role === 'assistant'
        ? { ...message, content: message.content.map((part) => (part.type === 'call' ? withName(part) : part)) }
        : message,
    ),
  }
}

function renamedChoice(choice: ToolChoice, names: ReadonlyMap<string, string>): ToolChoice {
  const of = (name: string) => names.get(name) ?? name
  if (choice.type === 'function') return { ...choice, name: of(choice.name) }
  return choice.type === 'allowed' ? { ...choice, names: choice.names.map(of) } : choice
}

/** The answer with the caller's names. */
export function restoreNames(answer: ChatAnswer, originals: OriginalNames): ChatAnswer {
  if (originals.size === 0) return answer
  const choices = answer.choices.map((choice) => ({
    ...choice,
    content: choice.content.map((part) =>
      part.type === 'call' ? { ...part, name: originals.get(part.name) ?? part.name } : part,
    ),
  }))
  return { ...answer, choices }
}

/** A decoder whose calls have the caller's names. */
export function restoringNames(decoder: StreamDecoder, originals: OriginalNames): StreamDecoder {
  if (originals.size === 0) return decoder
  const restored = (part: StreamPart): StreamPart =>
    part.type === 'tool-call' ? { ...part, name: originals.get(part.name) ?? part.name } : part
  return {
    decode: (event: WireEvent) => decoder.decode(event).map(restored),
    get done() {
      return decoder.done
    },
    get isWhole() {
      return decoder.isWhole ?? false
    },
    get seen() {
      return decoder.seen ?? {}
    },
  }
}
