/**
 * Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), at Anthropic itself, on Vertex AI, on Bedrock and in Microsoft Foundry: one body, four envelopes.
 */
import { defined, refuseOpenAiOnly } from '../../chat/openai-only.ts'
import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import { type Dialect, type EncodedRequest, modelSegment, type Target } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import type { WireError } from '../openai.ts'
import { decodeChat } from './decode-answer.ts'
import { AnthropicDecoder } from './decode-stream.ts'
import { type ClaudeModel, claudeModel } from './models.ts'
import { writeSampling } from './sampling.ts'
import { heedWish, planThinking, thinks } from './thinking.ts'
import { writeMessages } from './write-messages.ts'
import { closed, forces, heedChoice, writeTools } from './write-tools.ts'

export const anthropic: Dialect = {
  name: 'anthropic',
  framing: 'sse',
  heeds: ['cache_control'],
  // https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools
  toolNames: { outside: /[^a-zA-Z0-9_-]/g, lengthMax: 128 },
  encodeChat,
  decodeChat,
  decodeStream: () => new AnthropicDecoder(),
  decodeError,
}

/** https://platform.claude.com/docs/en/api/versioning */
export const ANTHROPIC_VERSION = '2023-06-01'

function encodeChat(request: ChatRequest, target: Target): EncodedRequest {
  const { unsupported } = target
  const model = claudeModel(target.model)
  refuseWhatIsMissing(request, unsupported)
  const cap = { asked: request.outputMax, model: target.outputTokensMax }
  const choice = heedChoice(request, model, unsupported)
  const wish = heedWish(request.reasoning, model, request.tools.length > 0 && forces(choice), unsupported)
  const { thinking, effort, maxTokens } = planThinking(wish, model, cap, unsupported)
  const { system, messages } = writeMessages(
    request.messages,
    model.takesSystemTurns && target.hosting === 'native',
    unsupported,
  )
  const format = writeFormat(request, model, unsupported)
  const outputConfig = defined({ effort, format })
  const own = defined({
    max_tokens: maxTokens,
    system: system.length > 0 ? system : null,
    messages,
    ...writeTools(request.tools, choice, request.parallelToolCalls, unsupported),
    thinking,
    output_config: Object.keys(outputConfig).length > 0 ? outputConfig : null,
    ...writeSampling(request, model, thinks(thinking), unsupported),
    stop_sequences: writeStop(request, unsupported),
    metadata: request.user === null ? null : { user_id: request.user },
    service_tier: writeServiceTier(request, unsupported),
  })
  return envelope({ ...request.rest, ...request.anthropicOnly, ...own }, request.streamed, target)
}

/**
 * Vertex AI has the model and whether to stream in the path (https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai), Bedrock likewise
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html) but refuses `stream` in the body; both have the version in the body.
 */
function envelope(body: JsonObject, streamed: boolean, target: Target): EncodedRequest {
  const model = modelSegment(target.model)
  switch (target.hosting) {
    case 'vertex': {
      const method = streamed ? 'streamRawPredict' : 'rawPredict'
      return {
        path: `/publishers/anthropic/models/${model}:${method}`,
        body: { anthropic_version: 'vertex-2023-10-16', ...body, ...(streamed && { stream: true }) },
      }
    }
    case 'bedrock':
      return {
        path: `/model/${model}/${streamed ? 'invoke-with-response-stream' : 'invoke'}`,
        body: { anthropic_version: 'bedrock-2023-05-31', ...body },
      }
    default:
      return {
        path: target.path ?? '/v1/messages',
        body: { model: target.model, ...body, ...(streamed && { stream: true }) },
        headers: { 'anthropic-version': ANTHROPIC_VERSION },
      }
  }
}

/** What the API has nothing like. A value that asks for nothing is no wish, and a hint (`prompt_cache_key`) goes no further. */
function refuseWhatIsMissing(request: ChatRequest, unsupported: Target['unsupported']): void {
  if (request.choices > 1) unsupported('n', 'Anthropic gives one answer to a request.')
  if (request.logprobs !== null) unsupported('logprobs', 'Anthropic tells no probabilities.')
  if (request.logitBias !== null && Object.keys(request.logitBias).length > 0) {
    unsupported('logit_bias', 'Anthropic has no logit bias.')
  }
  if (request.seed !== null) unsupported('seed', 'Anthropic has no seed.')
  if (request.frequencyPenalty) unsupported('frequency_penalty', 'Anthropic has no penalties.')
  if (request.presencePenalty) unsupported('presence_penalty', 'Anthropic has no penalties.')
  if (request.repetitionPenalty !== null && request.repetitionPenalty !== 1) {
    unsupported('repetition_penalty', 'Anthropic has no penalties.')
  }
  if (request.minP) unsupported('min_p', 'Anthropic has no min_p.')
  refuseOpenAiOnly(request, unsupported)
}

/** A sequence of white space alone is refused. */
function writeStop({ stop }: ChatRequest, unsupported: Target['unsupported']): readonly string[] | null {
  const kept = stop.filter((sequence) => sequence.trim() !== '')
  if (kept.length < stop.length) unsupported('stop', 'Anthropic stops at no sequence that is white space alone.')
  return kept.length > 0 ? kept : null
}

/** https://platform.claude.com/docs/en/build-with-claude/structured-outputs: no beta is needed any more. There is no mode of JSON without a schema. */
function writeFormat(
  { format }: ChatRequest,
  model: ClaudeModel,
  unsupported: Target['unsupported'],
): JsonObject | null {
  if (format.type === 'text') return null
  if (format.type === 'json') {
    unsupported('response_format', 'Anthropic writes JSON by a schema: send response_format of type json_schema.')
    return null
  }
  if (model.takesSchema) return { type: 'json_schema', schema: closed(format.schema) }
  unsupported('response_format', 'This model can’t be held to a JSON schema.')
  return null
}

/** https://platform.claude.com/docs/en/api/service-tiers */
function writeServiceTier({ serviceTier }: ChatRequest, unsupported: Target['unsupported']): string | null {
  switch (serviceTier) {
    case null:
      return null
    case 'auto':
      return 'auto'
    case 'default':
    case 'standard_only':
      return 'standard_only'
    default:
      unsupported('service_tier', `Anthropic has no service tier ${serviceTier}.`)
      return null
  }
}

/** `{type: 'error', error: {type, message}}` (https://platform.claude.com/docs/en/api/errors), or the `{message}` that Bedrock answers with, or what Vertex AI answers with. */
export function decodeError(answer: unknown): WireError | null {
  const given = Array.isArray(answer) ? answer[0] : answer
  if (!isObject(given)) return null
  const { error } = given
  if (isObject(error)) {
    return {
      message: textOr(error.message, NO_REASON),
      param: null,
      code: codeOf(error.type ?? error.status ?? error.code),
    }
  }
  if (typeof error === 'string') return { message: error, param: null, code: null }
  const message = given.message ?? given.Message
  return typeof message === 'string' && given.content === undefined
    ? { message, param: null, code: codeOf(given.__type) }
    : null
}

const NO_REASON = 'the provider gave no reason'

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}

function codeOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
