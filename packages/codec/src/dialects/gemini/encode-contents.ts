import { invalidRequest } from '@nemo/domain/errors'
import { parseArguments } from '../../chat/arguments.ts'
import { byKind } from '../../chat/content.ts'
import type {
  AssistantMessage,
  AssistantPart,
  JsonObject,
  Message,
  SystemMessage,
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
        for (const { id, name } of byKind(message.content).toolCalls) calls.set(id, { name, at: calls.size })
        add(turns, 'model', bare(encodeAssistant(message, target)))
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
 * All of it goes back in its order, and a signature to the part that it stood at (https://ai.google.dev/gemini-api/docs/thought-signatures). In place of one that isn't known, the first call has what Google wants there.
 */
function encodeAssistant({ content }: AssistantMessage, { model, hosting }: Target): JsonObject[] {
  const signatures = placeSignatures(content)
  const firstCall = content.findIndex(({ type }) => type === 'call')
  if (firstCall >= 0 && !signatures.has(firstCall) && isFromThree(model)) signatures.set(firstCall, UNSIGNED)
  return content.flatMap((part, i) => encodeOwn(part, signatures.get(i), hosting))
}

function encodeOwn(part: AssistantPart, signature: string | undefined, hosting: Target['hosting']): JsonObject[] {
  const signed = signature !== undefined && { thoughtSignature: signature }
  switch (part.type) {
    case 'reasoning':
      if (part.text) return [{ text: part.text, thought: true, ...signed }]
      return signed ? [{ text: '', ...signed }] : []
    case 'text':
    case 'refusal':
      return part.text === '' ? [] : [{ text: part.text, ...signed }]
    case 'call': {
      const args = parseArguments(part.arguments)
      return [{ functionCall: { ...idOn(hosting, part.id), name: part.name, args }, ...signed }]
    }
  }
}

/**
 * The signature of each part that has one, by the part's place. A call's own comes with it; clients whose API has no place for one there bring it as that of a thought before the call. What is
 * left is of the text that it follows, else of the next, else of the thought itself.
 */
function placeSignatures(content: readonly AssistantPart[]): Map<number, string> {
  const placed = new Map<number, string>()
  const own = new Set(content.map((part) => (part.type === 'call' ? part.signature : null)))
  const left: { readonly at: number; readonly signature: string }[] = []
  let loose: typeof left = []
  content.forEach((part, at) => {
    if (part.type === 'reasoning') {
      const signature = googleSignature(part.signature)
      if (signature !== null && !own.has(signature)) loose.push({ at, signature })
    } else if (part.type === 'call') {
      const signature = part.signature ?? loose.pop()?.signature
      if (signature !== undefined) placed.set(at, signature)
      left.push(...loose)
      loose = []
    }
  })
  const texts = content.flatMap((part, i) =>
    (part.type === 'text' || part.type === 'refusal') && part.text !== '' ? [i] : [],
  )
  for (const { at, signature } of [...left, ...loose]) {
    const isFree = (i: number) => !placed.has(i)
    const place = texts.find((i) => i === at - 1 && isFree(i)) ?? texts.find((i) => i > at && isFree(i)) ?? at
    placed.set(place, signature)
  }
  return placed
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
