import { defined, refuseAll, refuseAnthropicOnly, refuseOpenAiOnly, wishes } from '../../chat/openai-only.ts'
import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import { type EncodedRequest, modelSegment, type Target } from '../../dialect.ts'
import { readObject } from '../../fields.ts'
import { encodeContents } from './encode-contents.ts'
import { encodeSpeech, isSpoken } from './encode-speech.ts'
import { encodeThinking } from './encode-thinking.ts'
import { encodeTools } from './encode-tools.ts'
import { generationOf, isFromThree } from './models.ts'

/** What else `generationConfig` has (https://ai.google.dev/api/generate-content#generationconfig); all other fields that ride along stand beside it. */
const OF_GENERATION = new Set([
  ...['responseModalities', 'mediaResolution', 'speechConfig', 'imageConfig', 'responseSchema', 'audioTimestamp'],
  ...['enableEnhancedCivicAnswers', 'routingConfig', 'modelSelectionConfig', 'enableAffectiveDialog', 'thinkingConfig'],
])

/** https://ai.google.dev/api/generate-content; on Vertex https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference */
export function encodeChat(request: ChatRequest, target: Target): EncodedRequest {
  const { unsupported } = target
  refuse(request, unsupported)
  const { system, contents } = encodeContents(request.messages, target)
  const { toolConfig, ...tools } = encodeTools(request, unsupported) as { toolConfig?: JsonObject }
  const rest = Object.entries(request.rest)
  const generationConfig = {
    ...readObject(request.rest, 'generationConfig'),
    ...Object.fromEntries(rest.filter(([name]) => OF_GENERATION.has(name))),
    ...encodeGeneration(request, target),
  }
  const body = defined({
    ...Object.fromEntries(rest.filter(([name]) => !OF_GENERATION.has(name))),
    contents,
    systemInstruction: system.length > 0 ? { parts: system } : null,
    ...tools,
    ...(toolConfig && { toolConfig: { ...readObject(request.rest, 'toolConfig'), ...toolConfig } }),
    ...encodeServiceTier(request, unsupported),
    generationConfig: Object.keys(generationConfig).length > 0 ? generationConfig : null,
  })
  const method = request.streamed ? 'streamGenerateContent?alt=sse' : 'generateContent'
  return { path: `${modelPath(target)}:${method}`, body }
}

export function modelPath({ model, hosting }: Pick<Target, 'model' | 'hosting'>): string {
  return hosting === 'vertex' ? `/publishers/google/models/${modelSegment(model)}` : `/models/${modelSegment(model)}`
}

function refuse(request: ChatRequest, unsupported: Target['unsupported']): void {
  const { web_search_options: _, modalities, audio, ...others } = request.openAiOnly
  const openAiOnly = isSpoken(request) ? others : defined({ ...others, modalities, audio })
  refuseOpenAiOnly({ ...request, openAiOnly }, unsupported)
  refuseAnthropicOnly(request, unsupported)
  refuseAll(
    {
      ...wishes(request),
      parallel_tool_calls: request.parallelToolCalls === false && request.tools.length > 0 ? false : null,
    },
    'Gemini',
    unsupported,
  )
}

function encodeGeneration(request: ChatRequest, target: Target): JsonObject {
  return defined({
    maxOutputTokens: request.outputMax,
    temperature: request.temperature,
    topP: request.topP,
    topK: request.topK,
    seed: request.seed,
    frequencyPenalty: request.frequencyPenalty,
    presencePenalty: request.presencePenalty,
    stopSequences: request.stop.length > 0 ? request.stop : null,
    candidateCount: request.choices > 1 ? request.choices : null,
    responseLogprobs: request.logprobs === null ? null : true,
    logprobs: request.logprobs || null,
    ...encodeFormat(request, target),
    ...encodeSpeech(request, target.unsupported),
    thinkingConfig: encodeThinking(request.reasoning, target),
  })
}

/** https://ai.google.dev/gemini-api/docs/structured-output: beside functions from Gemini 3 on. */
function encodeFormat({ format, tools }: ChatRequest, { model, unsupported }: Target): JsonObject {
  const hasFunctions = tools.some(({ type }) => type === 'function')
  if (format.type !== 'text' && hasFunctions && generationOf(model) !== null && !isFromThree(model)) {
    unsupported('response_format', 'Models before Gemini 3 write JSON only where there are no functions.')
    return {}
  }
  switch (format.type) {
    case 'text':
      return {}
    case 'json':
      return { responseMimeType: 'application/json' }
    case 'schema':
      return { responseMimeType: 'application/json', responseJsonSchema: format.schema }
  }
}

/** https://ai.google.dev/gemini-api/docs/flex-inference, …/priority-inference; what OpenAI calls `default` is the default. */
function encodeServiceTier({ serviceTier }: ChatRequest, unsupported: Target['unsupported']): JsonObject {
  if (serviceTier === null || ['auto', 'default', 'standard'].includes(serviceTier)) return {}
  if (serviceTier === 'flex' || serviceTier === 'priority') return { serviceTier }
  unsupported('service_tier', `Gemini has no service tier ${serviceTier}.`)
  return {}
}
