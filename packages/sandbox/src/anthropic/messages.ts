import { hash } from 'node:crypto'
import type { Call, Reply } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { type Choice, choiceTokens, composeChoices } from '../openai/choices.ts'
import { randomFrom, seedOf, seedPart } from '../random.ts'
import { queriesWith } from '../searches.ts'
import type { SandboxConfig } from '../settings.ts'
import { words } from '../words.ts'
import { inputTokens } from './input-tokens.ts'
import { messageEvents } from './message-stream.ts'
import { checkVersion, type MessagesRequest, readMessagesRequest } from './messages-request.ts'
import { seal, sign } from './thinking.ts'

/** One message, cut into tokens. */
export type Message = {
  id: string
  model: string
  thoughts: string[]
  isSealed: boolean
  /** What was searched for before the answer. */
  queries: string[]
  choice: Choice
  stopReason: string
  stopSequence: string | null
  stopDetails: JsonObject | null
  /** Undefined where it is to be missing. */
  usage: JsonObject | undefined
}

/** https://platform.claude.com/docs/en/api/messages */
export function createMessage({ body, bytes, headers, settings }: Call): Reply {
  checkVersion(body, headers['anthropic-version'])
  const request = readMessagesRequest(body)
  const message = compose(request, body, bytes, settings)
  if (request.stream && !settings.not_a_stream) {
    return { status: 200, content: { events: messageEvents(message, settings) } }
  }
  const json = JSON.stringify({
    id: message.id,
    type: 'message',
    role: 'assistant',
    model: message.model,
    content: contentOf(message),
    stop_reason: message.stopReason,
    stop_sequence: message.stopSequence,
    stop_details: message.stopDetails,
    ...(message.usage && { usage: message.usage }),
  })
  return { status: 200, content: { json, tokens: message.thoughts.length + choiceTokens(message.choice) } }
}

/** How many thoughts there are where thinking was asked for and no setting says how many. */
const defaultThoughts = 8

function compose(request: MessagesRequest, body: JsonObject, bytes: Buffer, settings: SandboxConfig): Message {
  const { model, stop, callable, parallelCalls, schema } = request
  const wanted = settings.reasoning_tokens || (request.thinks ? defaultThoughts : 0)
  const thought = request.mayThink ? Math.min(wanted, request.tokensMax) : 0
  const messages = request.turns.map(({ role, blocks }) => ({ role, blocks }))
  const [choice] = composeChoices(
    // The same "model" as OpenAI's dialect has, that says the same of the same messages.
    {
      ...{ model, messages, stop, callable, parallelCalls, schema, stream: false, includeUsage: false, choices: 1 },
      ...{ tools: callable, tokensMax: request.tokensMax - thought },
    },
    { ...settings, reasoning_tokens: 0, finish_reason: null },
  )
  const made = choice!
  const thoughts = words(randomFrom(seedPart(seedOf(JSON.stringify(messages)), 7919)), thought, settings.unicode)
  const stopped = stopOf(made, request, settings)
  const searched = queries(body, settings)
  return {
    id: `msg_${hash('sha1', bytes, 'hex').slice(0, 24)}`,
    model,
    thoughts,
    isSealed: request.sealsThoughts,
    queries: searched,
    choice: {
      ...made,
      toolCalls: made.toolCalls.map((call) => ({ ...call, id: call.id.replace(/^call_/, 'toolu_') })),
    },
    ...stopped,
    usage: usageOf(body, thought, choiceTokens(made), searched.length, settings),
  }
}

function stopOf(
  choice: Choice,
  { stop }: MessagesRequest,
  settings: SandboxConfig,
): Pick<Message, 'stopReason' | 'stopSequence' | 'stopDetails'> {
  const none = { stopSequence: null, stopDetails: null }
  if (settings.finish_reason !== null) return { ...none, stopReason: settings.finish_reason }
  if (choice.refused) {
    return { ...none, stopReason: 'refusal', stopDetails: { type: 'refusal', category: null, explanation: null } }
  }
  if (choice.finishReason === 'length') return { ...none, stopReason: 'max_tokens' }
  if (choice.finishReason === 'tool_calls') return { ...none, stopReason: 'tool_use' }
  return choice.stopSequence === null || !stop.includes(choice.stopSequence)
    ? { ...none, stopReason: 'end_turn' }
    : { ...none, stopReason: 'stop_sequence', stopSequence: choice.stopSequence }
}

/** https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool */
function queries({ tools }: JsonObject, settings: SandboxConfig): string[] {
  const isSearch = ({ type }: JsonObject) => /^web_search_\d{8}$/.test(String(type))
  const most = Array.isArray(tools) ? tools.find((tool) => isObject(tool) && isSearch(tool))?.max_uses : null
  return queriesWith(tools, isSearch, most, settings)
}

/** A search as the model writes it, and what it found. */
export function searchBlocks(query: string, i: number): [JsonObject, JsonObject] {
  const id = `srvtoolu_${String(i).padStart(24, '0')}`
  const found = { type: 'web_search_result', title: query, url: `https://example.com/${i}`, page_age: null }
  return [
    { type: 'server_tool_use', id, name: 'web_search', input: { query } },
    { type: 'web_search_tool_result', tool_use_id: id, content: [{ ...found, encrypted_content: seal(query) }] },
  ]
}

function contentOf({ thoughts, isSealed, queries, choice }: Message): JsonObject[] {
  const content: JsonObject[] = []
  if (thoughts.length > 0) {
    const text = thoughts.join('')
    content.push(
      isSealed
        ? { type: 'redacted_thinking', data: seal(text) }
        : { type: 'thinking', thinking: text, signature: sign(text) },
    )
  }
  content.push(...queries.flatMap(searchBlocks))
  if (choice.pieces.length > 0) content.push({ type: 'text', text: choice.pieces.join(''), citations: null })
  for (const { id, name, pieces } of choice.toolCalls) {
    content.push({ type: 'tool_use', id, name, input: inputOf(pieces.join('')) })
  }
  return content
}

/** A call that its cap cut off has no input that could be read. */
function inputOf(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return {}
  }
}

/**
 * What was read from the cache is what the settings say; of a prompt with `cache_control` in it, half of what is left was written, for as long as the last mark says. A `usage`
 * setting is reported as given, however absurd.
 */
function usageOf(
  body: JsonObject,
  thought: number,
  said: number,
  searched: number,
  settings: SandboxConfig,
): JsonObject | undefined {
  if (settings.usage === 'missing') return undefined
  const given = settings.usage ?? {}
  const prompt = inputTokens(body)
  const read = given.cached_tokens ?? Math.min(settings.cached_tokens, prompt)
  const marks = [...JSON.stringify([body.tools, body.system, body.messages]).matchAll(/"cache_control":\{([^}]*)\}/g)]
  const written = marks.length > 0 && given.prompt_tokens === undefined ? Math.max(prompt - read, 0) >> 1 : 0
  const forAnHour = marks.at(-1)?.[1]?.includes('"1h"') ?? false
  const thinking = given.reasoning_tokens ?? thought
  return {
    input_tokens: given.prompt_tokens ?? prompt - read - written,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: read,
    cache_creation: {
      ephemeral_5m_input_tokens: forAnHour ? 0 : written,
      ephemeral_1h_input_tokens: forAnHour ? written : 0,
    },
    output_tokens: given.completion_tokens ?? thought + said,
    output_tokens_details: { thinking_tokens: thinking },
    server_tool_use: searched > 0 ? { web_search_requests: searched, web_fetch_requests: 0 } : null,
    service_tier: 'standard',
  }
}
