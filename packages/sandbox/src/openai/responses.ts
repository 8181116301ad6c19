import { hash } from 'node:crypto'
import type { Call, Reply, StreamEvent } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { queriesWith } from '../searches.ts'
import type { SandboxConfig } from '../settings.ts'
import { readChatRequest } from './chat-request.ts'
import { chatUsage } from './chat-usage.ts'
import { type Choice, choiceTokens, composeChoices } from './choices.ts'
import { required, wrongType } from './fields.ts'
import { asChoice, asMessage } from './response-items.ts'

/** https://platform.openai.com/docs/api-reference/responses/create: the same "model" as behind chat completions, in the other form. */
export function createResponse({ body, bytes, settings }: Call): Reply {
  const request = readChatRequest(asChat(body))
  const [choice] = composeChoices(request, settings)
  const id = hash('sha1', bytes, 'hex').slice(0, 29)
  const usage = usageOf(chatUsage(request, [choice!], settings))
  const isCut = choice!.finishReason === 'length'
  const response = {
    id: `resp_${id}`,
    object: 'response',
    created_at: settings.created,
    status: isCut ? 'incomplete' : 'completed',
    error: null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    model: request.model,
    output: [...searchesOf(body, settings), ...outputOf(choice!, id)],
    parallel_tool_calls: request.parallelCalls,
    service_tier: 'default',
    tools: body.tools ?? [],
    ...(usage && { usage }),
  }
  if (request.stream && !settings.not_a_stream) {
    return { status: 200, content: { events: responseEvents(response, choice!, settings.no_done) } }
  }
  return { status: 200, content: { json: JSON.stringify(response), tokens: choiceTokens(choice!) } }
}

/** The request as chat completions would have it. */
function asChat(body: JsonObject): JsonObject {
  const input = required(body, 'input')
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : input
  if (!Array.isArray(items)) throw wrongType('input', 'a string or an array of items')
  const instructions = typeof body.instructions === 'string' ? [{ role: 'system', content: body.instructions }] : []
  const { input: _, instructions: __, tool_choice: ___, max_output_tokens, tools, reasoning, text, ...rest } = body
  const functions = Array.isArray(tools) ? tools.filter((tool) => !isHosted(tool)) : []
  return {
    ...rest,
    messages: [...instructions, ...items.map(asMessage)],
    ...(max_output_tokens != null && { max_completion_tokens: max_output_tokens }),
    ...(functions.length > 0 && { tools: functions.map((tool) => ({ type: 'function', function: tool })) }),
    ...asChoice(body, functions),
  }
}

/** A tool that OpenAI runs itself. */
function isHosted(tool: unknown): boolean {
  return isObject(tool) && tool.type !== 'function' && tool.type !== 'custom'
}

/** https://platform.openai.com/docs/guides/tools-web-search, …/tools-file-search: each a call among the output, before the answer. */
function searchesOf({ tools, max_tool_calls: most }: JsonObject, settings: SandboxConfig): JsonObject[] {
  const web = queriesWith(tools, ({ type }) => String(type).startsWith('web_search'), most, settings)
  const files = queriesWith(tools, ({ type }) => type === 'file_search', most, settings)
  return [
    ...web.map((query, i) => ({
      ...{ id: `ws_${i}`, type: 'web_search_call', status: 'completed' },
      action: { type: 'search', query },
    })),
    ...files.map((query, i) => ({
      ...{ id: `fs_${i}`, type: 'file_search_call', status: 'completed' },
      ...{ queries: [query], results: null },
    })),
  ]
}

function outputOf(choice: Choice, id: string): JsonObject[] {
  if (choice.toolCalls.length > 0) {
    return choice.toolCalls.map((call, i) => ({
      id: `fc_${id}${i}`,
      type: 'function_call',
      status: 'completed',
      call_id: call.id,
      name: call.name,
      arguments: call.pieces.join(''),
    }))
  }
  const text = choice.pieces.join('')
  const part = choice.refused
    ? { type: 'refusal', refusal: text }
    : { type: 'output_text', text, annotations: [], logprobs: [] }
  return [{ id: `msg_${id}`, type: 'message', status: 'completed', role: 'assistant', content: [part] }]
}

function usageOf(usage: object | undefined): object | undefined {
  if (usage === undefined) return undefined
  const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details, completion_tokens_details } =
    usage as Record<string, JsonObject>
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: { cached_tokens: prompt_tokens_details!.cached_tokens },
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: completion_tokens_details!.reasoning_tokens },
    total_tokens,
  }
}

/** https://platform.openai.com/docs/api-reference/responses-streaming */
function* responseEvents(response: JsonObject, choice: Choice, cut: boolean): Generator<StreamEvent> {
  let sequence = 0
  const event = (type: string, data: JsonObject, tokens = 0): StreamEvent => ({
    event: type,
    data: JSON.stringify({ type, sequence_number: sequence++, ...data }),
    tokens,
  })
  const begun = { ...response, status: 'in_progress', incomplete_details: null, output: [], usage: null }
  yield event('response.created', { response: begun })
  yield event('response.in_progress', { response: begun })
  const items = response.output as JsonObject[]
  let calls = 0
  for (const [output_index, item] of items.entries()) {
    const place = { item_id: item.id, output_index }
    if (item.type === 'web_search_call' || item.type === 'file_search_call') {
      yield event('response.output_item.added', { output_index, item: { ...item, status: 'in_progress' } })
      yield event(`response.${item.type}.searching`, place)
      yield event(`response.${item.type}.completed`, place)
    } else if (item.type === 'function_call') {
      yield event(
        'response.output_item.added',
        { output_index, item: { ...item, status: 'in_progress', arguments: '' } },
        1,
      )
      for (const delta of choice.toolCalls[calls++]!.pieces) {
        yield event('response.function_call_arguments.delta', { ...place, delta }, 1)
      }
      yield event('response.function_call_arguments.done', { ...place, name: item.name, arguments: item.arguments })
    } else {
      const [part] = item.content as [JsonObject]
      const kind = part.type === 'refusal' ? 'refusal' : 'output_text'
      const field = kind === 'refusal' ? 'refusal' : 'text'
      yield event('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', content: [] } })
      yield event('response.content_part.added', { ...place, content_index: 0, part: { ...part, [field]: '' } })
      for (const delta of choice.pieces)
        yield event(`response.${kind}.delta`, { ...place, content_index: 0, delta, logprobs: [] }, 1)
      yield event(`response.${kind}.done`, { ...place, content_index: 0, [field]: part[field], logprobs: [] })
      yield event('response.content_part.done', { ...place, content_index: 0, part })
    }
    yield event('response.output_item.done', { output_index, item })
  }
  if (!cut) yield event(`response.${String(response.status)}`, { response })
}
