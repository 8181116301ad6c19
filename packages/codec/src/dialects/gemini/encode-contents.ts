import { invalidRequest } from '@nemo/domain/errors'
import { parseArguments } from '../../chat/arguments.ts'
import type {
  AssistantMessage,
  JsonObject,
  Message,
  SystemMessage,
  ToolCall,
  ToolMessage,
  UserMessage,
} from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { encodeParts } from './encode-media.ts'
import { isFromThree } from './models.ts'
import { googleSignature } from './signature.ts'

/** `at` is the place of the call that a part is the result of. */
type Encoded = { readonly part: JsonObject; readonly at?: number }
type Turn = { readonly role: 'user' | 'model'; readonly parts: Encoded[] }
type Calls = Map<string, { readonly name: string; readonly at: number }>

/** What Google wants in place of the signature of a call that its model didn't make (https://ai.google.dev/gemini-api/docs/thought-signatures#faqs). */
const UNSIGNED = 'skip_thought_signature_validator'

/**
 * `systemInstruction` and `contents` (https://ai.google.dev/api/caching#Content): what the system says first stands apart, user and model take turns, and all results of one turn's
 * calls stand at the head of the next, in the order of the calls. What the system says later keeps its place, as text of the user within `<system>`.
 */
export function encodeContents(
  messages: readonly Message[],
  target: Target,
): { system: JsonObject[]; contents: JsonObject[] } {
  const spoken = messages.findIndex(({ role }) => role !== 'system')
  // A conversation can't be of system messages alone: the last of them is then what is answered.
  const first = spoken < 0 ? messages.length - 1 : spoken
  const system = messages.slice(0, first).flatMap((message) => encodeTexts((message as SystemMessage).content))
  const turns: Turn[] = []
  const calls: Calls = new Map()
  for (let i = first; i < messages.length; i++) {
    const message = messages[i]!
    const path = `messages[${i}]`
    switch (message.role) {
      case 'system':
        add(turns, 'user', bare(encodeTagged(message)))
        break
      case 'user':
        add(turns, 'user', bare(encodeUser(message, path, target)))
        break
      case 'assistant':
        for (const { id, name } of message.toolCalls) calls.set(id, { name, at: calls.size })
        add(turns, 'model', bare(encodeAssistant(message, path, target)))
        break
      case 'tool':
        add(turns, 'user', encodeResult(message, path, calls, target))
    }
  }
  return { system, contents: turns.map(({ role, parts }) => ({ role, parts: resultsFirst(parts) })) }
}

/** Turns of one role that follow each other become one. */
function add(turns: Turn[], role: Turn['role'], parts: readonly Encoded[]): void {
  if (parts.length === 0) return
  const last = turns.at(-1)
  if (last?.role === role) last.parts.push(...parts)
  else turns.push({ role, parts: [...parts] })
}

function bare(parts: readonly JsonObject[]): Encoded[] {
  return parts.map((part) => ({ part }))
}

/** Where calls have no ids, their order is what tells their results apart. */
function resultsFirst(parts: readonly Encoded[]): JsonObject[] {
  const place = ({ at }: Encoded) => at ?? Number.MAX_SAFE_INTEGER
  return [...parts].sort((one, other) => place(one) - place(other)).map(({ part }) => part)
}

function encodeTexts(content: readonly { readonly text: string }[]): JsonObject[] {
  return content.filter(({ text }) => text !== '').map(({ text }) => ({ text }))
}

function encodeTagged({ content }: SystemMessage): JsonObject[] {
  const text = content.map((part) => part.text).join('\n')
  return text === '' ? [] : [{ text: `<system>\n${text}\n</system>` }]
}

/** Who speaks, where several users do, has no field here: the text says it. */
function encodeUser({ content, name }: UserMessage, path: string, target: Target): JsonObject[] {
  const parts = encodeParts(content, path, target)
  return name === null || parts.length === 0 ? parts : [{ text: `${name}:` }, ...parts]
}

/**
 * What was signed goes back where it stood (https://ai.google.dev/gemini-api/docs/thought-signatures): at the first of the calls, else at the end of the text. A call's own signature
 * comes with it; clients whose API has no place for one there bring it as the signature of a thought.
 */
function encodeAssistant(
  { reasoning, content, refusal, toolCalls }: AssistantMessage,
  path: string,
  { model, hosting }: Target,
): JsonObject[] {
  const thoughts = reasoning.flatMap(({ text }) => (text ? [{ text, thought: true }] : []))
  const signatures = reasoning.map(({ signature }) => googleSignature(signature)).filter((one) => one !== null)
  const ofCalls = toolCalls.length > 0 ? (toolCalls[0]!.signature ?? signatures.at(-1) ?? null) : null
  const ofText = signatures.findLast((signature) => signature !== ofCalls)
  const texts = encodeTexts([...content, ...(refusal ? [{ text: refusal }] : [])])
  if (ofText !== undefined) {
    if (texts.length === 0) texts.push({ text: '' })
    texts.push({ ...texts.pop(), thoughtSignature: ofText })
  }
  const otherwise = isFromThree(model) ? UNSIGNED : null
  const calls = toolCalls.map((call, i) => {
    const signature = i === 0 ? (ofCalls ?? otherwise) : call.signature
    return {
      functionCall: encodeCall(call, `${path}.tool_calls[${i}]`, hosting),
      ...(signature !== null && { thoughtSignature: signature }),
    }
  })
  return [...thoughts, ...texts, ...calls]
}

function encodeCall({ id, name, arguments: json }: ToolCall, path: string, hosting: Target['hosting']): JsonObject {
  return { ...idOn(hosting, id), name, args: parseArguments(json, `${path}.function.arguments`) }
}

/** Vertex AI tells calls apart by name and order. */
function idOn(hosting: Target['hosting'], id: string): { id?: string } {
  return hosting === 'vertex' ? {} : { id }
}

/** `output` and `error` are the names that Google gives them (https://ai.google.dev/api/caching#FunctionResponse). */
function encodeResult(
  { toolCallId, content, isError }: ToolMessage,
  path: string,
  calls: Calls,
  target: Target,
): Encoded[] {
  const call = calls.get(toolCallId)
  if (!call) {
    throw invalidRequest(`${path}.tool_call_id`, `${path}.tool_call_id must be the id of a tool call before it.`)
  }
  const text = content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
  const response = isError ? { error: text } : (objectOf(text) ?? { output: text })
  const media = content.map((part) => (part.type === 'text' ? { ...part, text: '' } : part))
  const parts = encodeParts(media, path, target)
  const isInside = isFromThree(target.model) && parts.length > 0
  const functionResponse = {
    ...idOn(target.hosting, toolCallId),
    ...{ name: call.name, response },
    ...(isInside && { parts }),
  }
  // Models that know no media in a result are shown it behind the results.
  return [{ part: { functionResponse }, at: call.at }, ...(isInside ? [] : bare(parts))]
}

/** A result that is an object is given as one, unless it has numbers that are too long to be read as such. */
function objectOf(json: string): JsonObject | null {
  if (/\d{16}/.test(json)) return null
  try {
    const value: unknown = JSON.parse(json)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}
