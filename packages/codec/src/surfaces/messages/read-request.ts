import type { ChatRequest, Effort, JsonObject, Message, OutputFormat, ReasoningWish } from '../../chat/request.ts'
import { Untranslated } from '../../chat/untranslatable.ts'
import {
  arrayAt,
  objectAt,
  readCacheControl,
  readFlag,
  readInteger,
  readNumber,
  readObject,
  readText,
  textAt,
} from '../../fields.ts'
import { hostedTools, isOff, isServerTool } from '../../hosted-tools.ts'
import { readConversation } from './read-messages.ts'
import { readToolChoice, readTools } from './read-tools.ts'

/** Fields that are read here. */
const READ = new Set([
  ...['model', 'messages', 'system', 'max_tokens', 'tools', 'tool_choice', 'stream', 'stop_sequences', 'metadata'],
  ...['temperature', 'top_p', 'top_k', 'thinking', 'output_config', 'output_format', 'service_tier', 'cache_control'],
  ...['mcp_servers', 'container'],
])

/**
 * Hints to Anthropic's servers, which coding agents send with every request: what they ask for (to drop old tool results from the context, to tell why the cache missed)
 * changes no answer's meaning, and nobody else has it.
 */
const HINTS = new Set(['context_management', 'diagnostics'])

/** What only Anthropic's servers run for their models: servers of tools, and machines that code runs on (https://platform.claude.com/docs/en/agents-and-tools/mcp-connector, …/code-execution-tool). */
const SERVERS = ['mcp_servers', 'container']

/** Reads all but `max_tokens`. Throws a 400 that names the field. */
export function readMessagesRequest(body: JsonObject): ChatRequest {
  const others = new Untranslated(bringsHosted)
  const choice = readToolChoice(body, others)
  const messages = readConversation(body, others)
  return {
    messages: markLast(messages, readCacheControl(body, 'body')),
    tools: readTools(body),
    toolChoice: choice?.choice ?? null,
    parallelToolCalls: choice?.isSingle ? false : null,
    outputMax: null,
    temperature: readNumber(body, 'temperature'),
    topP: readNumber(body, 'top_p'),
    topK: readInteger(body, 'top_k', 0, 1e9),
    minP: null,
    frequencyPenalty: null,
    presencePenalty: null,
    repetitionPenalty: null,
    seed: null,
    stop: readStop(body.stop_sequences),
    choices: 1,
    logprobs: null,
    logitBias: null,
    format: readFormat(body, others),
    reasoning: readReasoningWish(body, others),
    user: readUser(body),
    serviceTier: readServiceTier(body),
    promptCacheKey: null,
    streamed: readFlag(body, 'stream') ?? false,
    rest: Object.fromEntries(
      Object.entries(body).filter(([name, value]) => value != null && !READ.has(name) && !HINTS.has(name)),
    ),
    openAiOnly: {},
    anthropicOnly: Object.fromEntries(SERVERS.flatMap((name) => (isOff(name, body[name]) ? [] : [[name, body[name]]]))),
    untranslatable: others.all,
  }
}

const ANTHROPIC = { name: 'anthropic', dialect: 'anthropic', endpoints: [] } as const

/** Messages may bring tools by value (`tool_addition`, under the beta `inline-tools-2026-09-15`). Who calls one is told by its type as well, and has no name. */
function bringsHosted(value: JsonObject): boolean {
  const { type, definition, name } = value
  const tool = type === 'tool_definition' ? definition : isServerTool(value) && name != null ? value : null
  if (tool === null) return false
  return hostedTools('messages', { tools: [tool] }, ANTHROPIC, '').some(({ bill }) => bill !== 'tokens')
}

/** `cache_control` of the whole request marks the last block that can be. */
function markLast(messages: readonly Message[], cache: ReturnType<typeof readCacheControl>): readonly Message[] {
  const last = messages.at(-1)
  if (cache === null || last === undefined) return messages
  return [...messages.slice(0, -1), marked(last, cache)]
}

function marked(message: Message, cache: NonNullable<ReturnType<typeof readCacheControl>>): Message {
  if (message.role === 'assistant' || message.role === 'tool') return { ...message, cache }
  const content = message.content.map((part, i) =>
    i === message.content.length - 1 && 'cache' in part ? { ...part, cache } : part,
  )
  return { ...message, content } as Message
}

function readStop(stop: unknown): string[] {
  if (stop == null) return []
  return arrayAt(stop, 'stop_sequences').map((one, i) => textAt(one, `stop_sequences[${i}]`))
}

/** `output_config.format`, or `output_format` as it was in the beta (https://platform.claude.com/docs/en/build-with-claude/structured-outputs). */
function readFormat(body: JsonObject, others: Untranslated): OutputFormat {
  const config = readObject(body, 'output_config')
  const path = config?.format != null ? 'output_config.format' : 'output_format'
  const format = config?.format ?? body.output_format
  if (format == null) return { type: 'text' }
  const given = objectAt(format, path)
  if (others.known(given.type, ['json_schema'], `${path}.type`) === null) return { type: 'text' }
  return {
    type: 'schema',
    name: 'answer',
    description: null,
    schema: objectAt(given.schema, `${path}.schema`),
    strict: null,
  }
}

const EFFORTS = ['low', 'medium', 'high', 'xhigh', 'max'] as const

/** `thinking` and `output_config.effort` (https://platform.claude.com/docs/en/build-with-claude/thinking). There is nothing above `xhigh` elsewhere, so `max` is that. */
function readReasoningWish(body: JsonObject, others: Untranslated): ReasoningWish | null {
  const config = readObject(body, 'output_config')
  const asked = config?.effort == null ? null : others.known(config.effort, EFFORTS, 'output_config.effort')
  const effort: Effort | null = asked === 'max' ? 'xhigh' : asked
  const thinking = readObject(body, 'thinking')
  const wish: ReasoningWish | null = effort === null ? null : { effort, budget: null, summary: null }
  if (thinking === null) return wish
  const summary = readText(thinking, 'display', 'thinking.display') === 'summarized' ? 'auto' : null
  switch (others.known(thinking.type, ['enabled', 'disabled', 'adaptive', 'between_tools'], 'thinking.type')) {
    case null:
      return wish
    case 'disabled':
    case 'between_tools':
      return { effort: 'none', budget: null, summary: null }
    case 'adaptive':
      // High is what Anthropic does unless told otherwise.
      return { effort: effort ?? 'high', budget: null, summary }
    case 'enabled': {
      const budget = readInteger(thinking, 'budget_tokens', 1, 1e9, 'thinking.budget_tokens')
      return { effort: effort ?? (budget === null ? 'medium' : null), budget, summary }
    }
  }
}

function readUser(body: JsonObject): string | null {
  const metadata = readObject(body, 'metadata')
  return metadata === null ? null : readText(metadata, 'user_id', 'metadata.user_id')
}

/** In OpenAI's words: without priority is its default. */
function readServiceTier(body: JsonObject): string | null {
  const tier = readText(body, 'service_tier')
  return tier === 'standard_only' ? 'default' : tier
}
