/** OpenAI's Responses, as callers speak them: https://platform.openai.com/docs/api-reference/responses */
import { invalidRequest } from '@nemo/domain/errors'
import type {
  ChatRequest,
  Effort,
  JsonObject,
  OutputFormat,
  ReasoningWish,
  Tool,
  ToolChoice,
} from '../../chat/request.ts'
import { Untranslated } from '../../chat/untranslatable.ts'
import { arrayAt, objectAt, readFlag, readInteger, readNumber, readObject, readText, textAt } from '../../fields.ts'
import { hostedTools } from '../../hosted-tools.ts'
import type { Surface } from '../../surface.ts'
import { writeError } from '../chat/chat.ts'
import { readInput } from './read-input.ts'
import { writeAnswer } from './write-answer.ts'
import { ResponsesStreamWriter } from './write-stream.ts'

export const responses: Surface = {
  name: 'responses',
  readRequest,
  writeAnswer,
  writeStream: (context) => new ResponsesStreamWriter(context),
  writeError,
}

const READ = new Set([
  ...[
    'model',
    'input',
    'instructions',
    'tools',
    'tool_choice',
    'parallel_tool_calls',
    'max_output_tokens',
    'temperature',
    'top_p',
  ],
  ...[
    'top_logprobs',
    'text',
    'reasoning',
    'user',
    'safety_identifier',
    'service_tier',
    'prompt_cache_key',
    'stream',
    'stream_options',
  ],
  ...[
    'include',
    'metadata',
    'store',
    'truncation',
    'previous_response_id',
    'conversation',
    'background',
    'prompt_cache_retention',
  ],
  ...['max_tool_calls', 'prompt', 'client_metadata'],
])

function readRequest(body: JsonObject): ChatRequest {
  refuseState(body)
  const others = new Untranslated(bringsHosted)
  const topLogprobs = readInteger(body, 'top_logprobs', 0, 20)
  const text = readObject(body, 'text')
  const verbosity = readText(text ?? {}, 'verbosity', 'text.verbosity')
  return {
    messages: readInput(body, others),
    tools: readTools(body),
    toolChoice: readToolChoice(body.tool_choice, others),
    parallelToolCalls: readFlag(body, 'parallel_tool_calls'),
    outputMax: readInteger(body, 'max_output_tokens', 1, 1e9),
    temperature: readNumber(body, 'temperature'),
    topP: readNumber(body, 'top_p'),
    topK: null,
    minP: null,
    frequencyPenalty: null,
    presencePenalty: null,
    repetitionPenalty: null,
    seed: null,
    stop: [],
    choices: 1,
    logprobs: topLogprobs ?? (wantsLogprobs(body) ? 0 : null),
    logitBias: null,
    format: readFormat(text, others),
    reasoning: readReasoning(body, others),
    user: readText(body, 'safety_identifier') ?? readText(body, 'user'),
    serviceTier: readText(body, 'service_tier'),
    promptCacheKey: readText(body, 'prompt_cache_key'),
    streamed: readFlag(body, 'stream') ?? false,
    rest: Object.fromEntries(Object.entries(body).filter(([name, value]) => !READ.has(name) && value != null)),
    openAiOnly: verbosity === null ? {} : { verbosity },
    untranslatable: others.all,
  }
}

const OPENAI = { name: 'openai', dialect: 'openai', endpoints: ['responses'] } as const

/** Items may bring tools, such as a search for tools found (https://platform.openai.com/docs/guides/tools-tool-search); those of a server of tools have no type. */
function bringsHosted({ tools }: JsonObject): boolean {
  if (!Array.isArray(tools)) return false
  const typed = tools.filter((tool) => typeof tool?.type === 'string')
  return hostedTools('responses', { tools: typed }, OPENAI, '').some(({ bill }) => bill !== 'tokens')
}

function wantsLogprobs({ include }: JsonObject): boolean {
  return Array.isArray(include) && include.includes('message.output_text.logprobs')
}

/** What a provider remembers can't be seen, nor held for. An id of what is kept here has been resolved before. */
function refuseState(body: JsonObject): void {
  for (const name of ['previous_response_id', 'conversation', 'prompt']) {
    if (body[name] == null) continue
    const kept =
      name === 'previous_response_id' ? ', or let your organization’s responses be kept (keep_responses)' : ''
    throw invalidRequest(
      name,
      `${name} refers to what is kept elsewhere. Send the items of the conversation in input${kept}.`,
    )
  }
  if (body.background === true) throw invalidRequest('background', 'background needs a provider that keeps responses.')
}

/** Functions stand flat here; what else there is, OpenAI runs itself. */
function readTools(body: JsonObject): Tool[] {
  if (body.tools == null) return []
  return arrayAt(body.tools, 'tools').map((given, i) => {
    const path = `tools[${i}]`
    const tool = objectAt(given, path)
    if (tool.type !== 'function') return { type: 'other', of: 'responses', raw: tool }
    return {
      type: 'function',
      name: textAt(tool.name, `${path}.name`),
      description: readText(tool, 'description', `${path}.description`),
      parameters: readObject(tool, 'parameters', `${path}.parameters`),
      strict: readFlag(tool, 'strict', `${path}.strict`),
      cache: null,
    }
  })
}

/** Tools that OpenAI runs itself are chosen by their types (https://platform.openai.com/docs/api-reference/responses/create#responses-create-tool_choice). */
function readToolChoice(choice: unknown, others: Untranslated): ToolChoice | null {
  if (choice == null) return null
  if (typeof choice === 'string') {
    const type = others.known(choice, ['auto', 'none', 'required'], 'tool_choice')
    return type && { type }
  }
  const given = objectAt(choice, 'tool_choice')
  switch (given.type) {
    case 'function':
    case 'custom':
      return { type: 'function', name: textAt(given.name, 'tool_choice.name') }
    case 'allowed_tools':
      return readAllowed(given, others)
    default:
      others.add('tool_choice', `a choice of ${textAt(given.type, 'tool_choice.type')}`, given)
      return null
  }
}

function readAllowed(given: JsonObject, others: Untranslated): ToolChoice | null {
  const mode = others.known(given.mode, ['auto', 'required'], 'tool_choice.mode')
  const names = arrayAt(given.tools, 'tool_choice.tools').flatMap((tool, i) => {
    const path = `tool_choice.tools[${i}]`
    const { type, name } = objectAt(tool, path)
    if (type == null || type === 'function' || type === 'custom') return [textAt(name, `${path}.name`)]
    others.add(path, `a choice of ${textAt(type, `${path}.type`)}`, tool)
    return []
  })
  // Where the caller's functions aren't among them none may be called.
  if (names.length === 0) return { type: 'none' }
  return mode && { type: 'allowed', mode, names }
}

function readFormat(text: JsonObject | null, others: Untranslated): OutputFormat {
  const format = readObject(text ?? {}, 'format', 'text.format')
  const types = ['text', 'json_object', 'json_schema'] as const
  switch (format === null ? 'text' : others.known(format.type, types, 'text.format.type')) {
    case null:
    case 'text':
      return { type: 'text' }
    case 'json_object':
      return { type: 'json' }
    case 'json_schema':
      return {
        type: 'schema',
        name: textAt(format!.name, 'text.format.name'),
        description: readText(format!, 'description', 'text.format.description'),
        schema: objectAt(format!.schema, 'text.format.schema'),
        strict: readFlag(format!, 'strict', 'text.format.strict'),
      }
  }
}

const EFFORTS: readonly Effort[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh']

function readReasoning(body: JsonObject, others: Untranslated): ReasoningWish | null {
  const reasoning = readObject(body, 'reasoning')
  if (reasoning === null) return null
  const effort = reasoning.effort == null ? null : others.known(reasoning.effort, EFFORTS, 'reasoning.effort')
  const summary = readText(reasoning, 'summary', 'reasoning.summary') ?? readText(reasoning, 'generate_summary')
  return effort === null && summary === null ? null : { effort, budget: null, summary }
}
