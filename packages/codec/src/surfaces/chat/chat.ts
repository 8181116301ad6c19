/** OpenAI's chat completions, as callers speak them: https://platform.openai.com/docs/api-reference/chat */
import { invalidRequest } from '@nemo/domain/errors'
import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import { arrayAt, readFlag, readInteger, readNumber, readObject, readText, textAt } from '../../fields.ts'
import type { Surface, SurfaceError } from '../../surface.ts'
import { readMessages } from './read-messages.ts'
import { readFormat, readReasoningWish, readToolChoice, readTools } from './read-tools.ts'
import { writeAnswer } from './write-answer.ts'
import { ChatStreamWriter } from './write-stream.ts'

export const chat: Surface = {
  name: 'chat',
  readRequest,
  writeAnswer,
  writeStream: (context) => new ChatStreamWriter(context),
  writeError,
}

/** Fields that this module reads. */
const READ = new Set([
  ...[
    'model',
    'messages',
    'tools',
    'functions',
    'tool_choice',
    'function_call',
    'parallel_tool_calls',
    'stream',
    'stream_options',
  ],
  ...[
    'max_tokens',
    'max_completion_tokens',
    'temperature',
    'top_p',
    'top_k',
    'min_p',
    'frequency_penalty',
    'presence_penalty',
  ],
  ...[
    'repetition_penalty',
    'seed',
    'stop',
    'n',
    'logprobs',
    'top_logprobs',
    'logit_bias',
    'response_format',
    'reasoning_effort',
  ],
  ...['reasoning', 'thinking', 'user', 'safety_identifier', 'service_tier', 'prompt_cache_key'],
])

/** Fields that OpenAI documents, and that no other dialect has anything like. */
const OPENAI_ONLY = new Set([
  ...['modalities', 'audio', 'prediction', 'store', 'metadata', 'web_search_options', 'verbosity', 'moderation'],
  ...['prompt_cache_retention'],
])

function readRequest(body: JsonObject): ChatRequest {
  const wantsLogprobs = readFlag(body, 'logprobs') ?? false
  const topLogprobs = readInteger(body, 'top_logprobs', 0, 20)
  if (topLogprobs !== null && !wantsLogprobs)
    throw invalidRequest('top_logprobs', 'top_logprobs needs logprobs to be true.')
  return {
    messages: readMessages(body.messages),
    tools: readTools(body),
    toolChoice: readToolChoice(body),
    parallelToolCalls: readFlag(body, 'parallel_tool_calls'),
    outputMax: readInteger(body, 'max_completion_tokens', 1, 1e9) ?? readInteger(body, 'max_tokens', 1, 1e9),
    temperature: readNumber(body, 'temperature'),
    topP: readNumber(body, 'top_p'),
    topK: readNumber(body, 'top_k'),
    minP: readNumber(body, 'min_p'),
    frequencyPenalty: readNumber(body, 'frequency_penalty'),
    presencePenalty: readNumber(body, 'presence_penalty'),
    repetitionPenalty: readNumber(body, 'repetition_penalty'),
    seed: readInteger(body, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    stop: readStop(body.stop),
    choices: readInteger(body, 'n', 1, 128) ?? 1,
    logprobs: wantsLogprobs ? (topLogprobs ?? 0) : null,
    logitBias: readObject(body, 'logit_bias'),
    format: readFormat(body),
    reasoning: readReasoningWish(body),
    user: readText(body, 'safety_identifier') ?? readText(body, 'user'),
    serviceTier: readText(body, 'service_tier'),
    promptCacheKey: readText(body, 'prompt_cache_key'),
    streamed: readFlag(body, 'stream') ?? false,
    rest: only(body, (name) => !READ.has(name) && !OPENAI_ONLY.has(name)),
    openAiOnly: only(body, (name) => OPENAI_ONLY.has(name)),
  }
}

function readStop(stop: unknown): string[] {
  if (stop == null) return []
  if (typeof stop === 'string') return [stop]
  return arrayAt(stop, 'stop').map((one, i) => textAt(one, `stop[${i}]`))
}

function only(body: JsonObject, wanted: (name: string) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => value != null && wanted(name)))
}

/** https://platform.openai.com/docs/guides/error-codes: all four keys are there, and ours beside them. */
export function writeError({ message, type, param, code, details }: SurfaceError): JsonObject {
  return { error: { message, type, param, code, ...details } }
}
