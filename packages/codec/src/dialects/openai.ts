/**
 * OpenAI's wire format, from https://platform.openai.com/docs/api-reference (chat completions, embeddings, images). The caller speaks
 * it too, so a request changes in as few bytes as it can and an answer in none.
 */
import type { Nanos } from '@nemo/domain/money'
import type { Usage } from '@nemo/domain/usage'
import { type Edits, editMembers, type Member } from '../json-members.ts'

export interface EncodeOptions {
  readonly upstreamModel: string
  /** Top-level members to take out or to write anew, beside the model. */
  readonly edits: Edits
}

/** The caller's bytes with the upstream's model name, and with the edits; everything else as it came. */
export function encodeRequest(body: Buffer, members: readonly Member[], options: EncodeOptions): Buffer {
  return editMembers(body, members, new Map(options.edits).set('model', JSON.stringify(options.upstreamModel)))
}

interface WireUsage {
  prompt_tokens?: unknown
  completion_tokens?: unknown
  total_tokens?: unknown
  prompt_tokens_details?: { cached_tokens?: unknown; cache_write_tokens?: unknown; audio_tokens?: unknown } | null
  completion_tokens_details?: { reasoning_tokens?: unknown; audio_tokens?: unknown } | null
  input_tokens?: unknown
  output_tokens?: unknown
  input_tokens_details?: {
    image_tokens?: unknown
    cached_tokens?: unknown
    cached_tokens_details?: { image_tokens?: unknown } | null
    cache_write_tokens?: unknown
  } | null
  output_tokens_details?: { reasoning_tokens?: unknown; image_tokens?: unknown } | null
  cached_tokens?: unknown
  prompt_audio_seconds?: unknown
}

/**
 * A `usage` object in disjoint classes. `prompt_tokens` includes cached and audio tokens, `completion_tokens` includes reasoning and audio;
 * image models and Responses say `input_tokens` and `output_tokens`, and the former what of them pictures are
 * (https://platform.openai.com/docs/api-reference/images/object, https://docs.rs/crate/openai-client-base/latest/source/docs/ImageGenOutputTokensDetails.md); Mistral counts the seconds of sound beside the tokens (https://docs.mistral.ai/capabilities/audio_transcription). Grok's
 * completion, wherever it is served, doesn't include its reasoning, as the total shows (https://docs.x.ai/docs/key-information/consumption-and-rate-limits); Moonshot says `cached_tokens` beside the prompt
 * (https://platform.moonshot.ai/docs/api/chat); who resells Claude says what was written to its cache. Null when it is missing, isn't made of counts, or says that nothing was used: a provider
 * that reports nonsense is treated as one that reports nothing.
 */
export function readUsage(wire: unknown): Usage | null {
  if (typeof wire !== 'object' || wire === null) return null
  const usage = wire as WireUsage
  const input = count(usage.prompt_tokens ?? usage.input_tokens)
  const said = count(usage.completion_tokens ?? usage.output_tokens ?? 0)
  const inputDetails = usage.prompt_tokens_details ?? usage.input_tokens_details
  const cached = count(inputDetails?.cached_tokens ?? usage.cached_tokens ?? 0)
  const written = count(inputDetails?.cache_write_tokens ?? 0)
  const audioInput = count(usage.prompt_tokens_details?.audio_tokens ?? 0)
  const imageInput = count(usage.input_tokens_details?.image_tokens ?? 0)
  const reasoning = count((usage.completion_tokens_details ?? usage.output_tokens_details)?.reasoning_tokens ?? 0)
  const audioOutput = count(usage.completion_tokens_details?.audio_tokens ?? 0)
  const imageOutput = count(usage.output_tokens_details?.image_tokens ?? 0)
  if (input === null || said === null || cached === null || written === null || audioInput === null) return null
  if (imageInput === null || reasoning === null || audioOutput === null || imageOutput === null) return null
  const output = usage.total_tokens === input + said + reasoning ? said + reasoning : said
  if (input === 0 && output === 0) return null
  // More of the prompt can't have been cached than there was of it.
  const cachedAll = Math.min(cached, input)
  const cacheWrite = Math.min(written, input - cachedAll)
  // Where it isn't said what was cached, it is text as far as there was any.
  const beyondText = Math.max(cachedAll - Math.max(input - audioInput - imageInput, 0), 0)
  const cachedPictures = count(usage.input_tokens_details?.cached_tokens_details?.image_tokens) ?? beyondText
  const cachedImageInput = Math.min(cachedPictures, imageInput, cachedAll)
  const freshImageInput = imageInput - cachedImageInput
  return withoutZeros({
    input: Math.max(input - cachedAll - cacheWrite - audioInput - freshImageInput, 0),
    cachedInput: cachedAll - cachedImageInput,
    cacheWrite,
    audioInput,
    imageInput: freshImageInput,
    cachedImageInput,
    output: Math.max(output - reasoning - audioOutput - imageOutput, 0),
    reasoning,
    audioOutput,
    imageOutput: Math.min(imageOutput, output),
    second: count(usage.prompt_audio_seconds) ?? 0,
  })
}

/**
 * What the provider says that it billed, in nanodollars: OpenRouter's `cost`, in dollars, which with the operator's own key at a provider is its fee alone, so that what that provider bills comes to
 * it (https://openrouter.ai/docs/use-cases/usage-accounting), Perplexity's `cost.total_cost`
 * (https://docs.perplexity.ai/api-reference/chat-completions-post), xAI's `cost_in_usd_ticks`, of which a dollar has ten thousand million (https://docs.x.ai). Null where
 * it doesn't say, or what it says is no sum. Rounded up, as every cost is.
 */
export function readBilledNanos(wire: unknown): Nanos | null {
  const { cost, cost_in_usd_ticks: ticks, is_byok: isOwnKey, cost_details: details } = (wire ?? {}) as WireBill
  if (Number.isSafeInteger(ticks) && (ticks as number) >= 0) return (BigInt(ticks as number) + 9n) / 10n
  const said = typeof cost === 'object' && cost !== null ? (cost as { total_cost?: unknown }).total_cost : cost
  // It says the provider's bill of calls with its own key as well, where it is the `cost` itself.
  const upstream = isOwnKey === true ? details?.upstream_inference_cost : 0
  if (typeof said !== 'number' || typeof upstream !== 'number' || !(upstream >= 0)) return null
  const usd = said + upstream
  if (!(said >= 0) || usd > BILL_USD_MAX) return null
  // A price of a few nanodollars is written with an error far below one: it must not become a nanodollar of its own.
  return BigInt(Math.ceil(Number((usd * 1e9).toFixed(3))))
}

interface WireBill {
  cost?: unknown
  cost_in_usd_ticks?: unknown
  is_byok?: unknown
  cost_details?: { upstream_inference_cost?: unknown } | null
}

/** No call costs more. */
const BILL_USD_MAX = 100_000

export interface WireError {
  readonly message: string
  readonly param: string | null
  readonly code: string | null
}

const NO_REASON = 'the provider gave no reason'

/** The `error` object of an answer, or null when it has none. */
export function readError(answer: unknown): WireError | null {
  const error = (answer as { error?: unknown } | null)?.error
  if (typeof error === 'string') return { message: error, param: null, code: null }
  if (typeof error !== 'object' || error === null) return null
  const { message, param, code } = error as Record<string, unknown>
  return {
    message: typeof message === 'string' ? message : NO_REASON,
    param: typeof param === 'string' ? param : null,
    code: typeof code === 'string' ? code : null,
  }
}

/**
 * The `usage` of a stream's chunk, unread. Moonshot puts it into the choice that ends (https://platform.moonshot.ai/docs/api/chat).
 */
export function usageIn({ usage, choices }: { readonly usage?: unknown; readonly choices?: unknown }): unknown {
  return usage ?? (Array.isArray(choices) ? (choices[0] as { usage?: unknown } | null | undefined)?.usage : null)
}

/**
 * The error that an answer, or a chunk of a stream, tells of with status 200; null when it has none. OpenRouter tells it beside choices, or within one, which then ends for `error`
 * (https://openrouter.ai/docs/api/reference/errors-and-debugging): what was said until then is no answer.
 */
export function readErrorAmid(answer: Readonly<Record<string, unknown>>): WireError | null {
  const { error, choices } = answer
  if (!Array.isArray(choices) || typeof (error as { message?: unknown } | null)?.message === 'string')
    return readError(answer)
  const failed = choices.find((choice) => choice?.finish_reason === 'error')
  return failed === undefined ? null : (readError(failed) ?? { message: NO_REASON, param: null, code: null })
}

/** No call uses more; a count beyond it is no count, and its price would not fit a ledger. */
const COUNT_MAX = 1_000_000_000

export function count(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= COUNT_MAX ? (value as number) : null
}

export function withoutZeros(usage: Usage): Usage {
  return Object.fromEntries(Object.entries(usage).filter(([, units]) => units !== 0))
}
