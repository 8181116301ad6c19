import { defined, refuseAll, refuseAnthropicOnly, refuseOpenAiOnly, wishes } from '../../chat/openai-only.ts'
import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import type { EncodedRequest, Target } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { claudeModel } from '../anthropic/models.ts'
import { sampleThinking } from '../anthropic/sampling.ts'
import { heedWish, thinks } from '../anthropic/thinking.ts'
import { closed, forces, heedChoice } from '../anthropic/write-tools.ts'
import { encodeMessages, trimPrefill } from './encode-messages.ts'
import { encodeReasoning } from './encode-reasoning.ts'
import { encodeTools } from './encode-tools.ts'
import { type Family, familyOf } from './families.ts'
import { modelPath } from './model-path.ts'

/** Fields of Converse itself; whatever else rides along goes to the model. */
const CONVERSE_FIELDS = new Set([
  'additionalModelResponseFieldPaths',
  'guardrailConfig',
  'performanceConfig',
  'promptVariables',
  'requestMetadata',
  'serviceTier',
])

export function encodeChat(asked: ChatRequest, target: Target): EncodedRequest {
  const { unsupported } = target
  refuseWhatIsMissing(asked, unsupported)
  const family = familyOf(target.model)
  const request = family === 'claude' ? heeded(asked, target) : asked
  const { additionalModelRequestFields, ...given } = request.rest
  const rest = Object.entries(given)
  const reasoning = encodeReasoning(request, family, target)
  const sampled = isClaudeThinking(reasoning.additional) ? sampledThinking(request, target) : request
  const additional = defined({
    ...Object.fromEntries(rest.filter(([name]) => !CONVERSE_FIELDS.has(name))),
    ...(isObject(additionalModelRequestFields) && additionalModelRequestFields),
    ...encodeTopK(sampled, family, target),
    ...reasoning.additional,
  })
  const { system, turns } = encodeMessages(request.messages, unsupported)
  const outputConfig = defined({ textFormat: encodeFormat(request, family, target), effort: reasoning.effort })
  const inferenceConfig = defined({
    maxTokens: reasoning.maxTokens,
    ...encodeSampling(sampled, family, target),
    stopSequences: request.stop.length > 0 ? request.stop : null,
  })
  const body = defined({
    messages: family === 'claude' ? trimPrefill(turns) : turns,
    system: system.length > 0 ? system : null,
    inferenceConfig: unlessEmpty(inferenceConfig),
    toolConfig: encodeTools(request, unsupported),
    outputConfig: unlessEmpty(outputConfig),
    serviceTier: encodeServiceTier(request, unsupported),
    requestMetadata: encodeUser(request),
    // Which sequence it stopped at, Converse tells only where it is asked to.
    additionalModelResponseFieldPaths: family === 'claude' && request.stop.length > 0 ? ['/stop_sequence'] : null,
    additionalModelRequestFields: unlessEmpty(additional),
    ...Object.fromEntries(rest.filter(([name]) => CONVERSE_FIELDS.has(name))),
  })
  return { path: modelPath(target.model, request.streamed ? 'converse-stream' : 'converse'), body }
}

/** What Claude can heed of a choice of tools and a wish to think. */
function heeded(request: ChatRequest, { model, unsupported }: Target): ChatRequest {
  const claude = claudeModel(model)
  const toolChoice = heedChoice(request, claude, unsupported)
  const isForced = request.tools.length > 0 && forces(toolChoice)
  return { ...request, toolChoice, reasoning: heedWish(request.reasoning, claude, isForced, unsupported) }
}

function isClaudeThinking({ thinking }: JsonObject): boolean {
  return isObject(thinking) && thinks(thinking)
}

function sampledThinking(request: ChatRequest, { model, unsupported }: Target): ChatRequest {
  // Those that are never sampled say so themselves.
  if (!claudeModel(model).isSampled) return request
  const { temperature, topP: top_p, topK: top_k } = request
  const kept = sampleThinking({ temperature, top_p, top_k }, unsupported)
  return { ...request, temperature: kept.temperature, topP: kept.top_p, topK: kept.top_k }
}

/** What the API has nothing like. A value that asks for nothing is no wish, and a hint (`prompt_cache_key`) goes no further. */
function refuseWhatIsMissing(request: ChatRequest, unsupported: Target['unsupported']): void {
  refuseOpenAiOnly(request, unsupported)
  refuseAnthropicOnly(request, unsupported)
  refuseAll(
    {
      n: request.choices > 1 ? request.choices : null,
      logprobs: request.logprobs,
      ...wishes(request),
      seed: request.seed,
      frequency_penalty: request.frequencyPenalty || null,
      presence_penalty: request.presencePenalty || null,
    },
    'Bedrock',
    unsupported,
  )
}

/**
 * From 0 to 1, where OpenAI has 0 to 2
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html). Newer Claudes refuse to be sampled otherwise than by default.
 */
function encodeSampling({ temperature, topP }: ChatRequest, family: Family, target: Target): JsonObject {
  const { unsupported } = target
  if (family === 'claude' && !claudeModel(target.model).isSampled) {
    const why = 'This model takes neither temperature nor top_p nor top_k.'
    if (temperature !== null && temperature !== 1) unsupported('temperature', why)
    if (topP !== null && topP !== 1) unsupported('top_p', why)
    return {}
  }
  if (temperature === null || (temperature >= 0 && temperature <= 1)) return { temperature, topP }
  unsupported('temperature', 'Bedrock’s temperature is from 0 to 1.')
  return { topP }
}

/** Every maker's models have a field of their own for it, or none (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html). */
function encodeTopK({ topK }: ChatRequest, family: Family, target: Target): JsonObject {
  if (topK === null) return {}
  switch (family) {
    case 'claude':
      if (claudeModel(target.model).isSampled) return { top_k: topK }
      break
    case 'nova':
      return { inferenceConfig: { topK } }
    case 'cohere':
      return { k: topK }
    case 'other':
      return { top_k: topK }
  }
  target.unsupported('top_k', 'This model takes no top_k.')
  return {}
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html: the schema is text, and its objects are closed. */
function encodeFormat({ format }: ChatRequest, family: Family, { model, unsupported }: Target): JsonObject | null {
  if (format.type === 'text') return null
  if (format.type === 'json') {
    unsupported('response_format', 'Bedrock writes JSON by a schema: send response_format of type json_schema.')
    return null
  }
  if (family === 'claude' && !claudeModel(model).takesSchema) {
    unsupported('response_format', 'This model can’t be held to a JSON schema.')
    return null
  }
  const { name, description } = format
  const jsonSchema = defined({ name, description, schema: JSON.stringify(closed(format.schema)) })
  return { type: 'json_schema', structure: { jsonSchema } }
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ServiceTier.html */
function encodeServiceTier({ serviceTier }: ChatRequest, unsupported: Target['unsupported']): JsonObject | null {
  switch (serviceTier) {
    case null:
    case 'auto':
      return null
    case 'default':
    case 'flex':
    case 'priority':
    case 'reserved':
      return { type: serviceTier }
    case 'standard_only':
      return { type: 'default' }
    default:
      unsupported('service_tier', `Bedrock has no service tier ${serviceTier}.`)
      return null
  }
}

/** What stands in the operator's invocation logs. It takes few characters; a name with others in it bears on no answer, and stays behind. */
function encodeUser({ user }: ChatRequest): JsonObject | null {
  return user !== null && /^[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}$/.test(user) ? { user } : null
}

function unlessEmpty(object: JsonObject): JsonObject | null {
  return Object.keys(object).length > 0 ? object : null
}
