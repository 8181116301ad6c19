import type { ChatRequest, ContentPart } from '@nemo/codec/chat/request'
import { readServiceTier } from '@nemo/codec/dialects/anthropic/usage'
import type { Member } from '@nemo/codec/json-members'
import type { Endpoint } from '@nemo/domain/catalogue'
import { invalidRequest } from '@nemo/domain/errors'
import { tokensAtMost } from '@nemo/domain/estimate'
import type { Nanos } from '@nemo/domain/money'
import { ceilingOf, type Terms } from '@nemo/domain/pricing'
import type { Deployment } from '../snapshot/catalogue.ts'
import type { Fields } from './extras.ts'
import { type Hosted, usageOfTools } from './hosted.ts'
import { pictureTokensMost } from './picture-tokens.ts'
import { chatSize, type PromptSize, promptSize, TOKENS_PER_PICTURE } from './prompt-size.ts'

/** What a call may take, before it is made. */
export interface Expectation {
  readonly inputTokens: number
  /** What it will probably take of a token limit. Holding the most would refuse honest traffic. */
  readonly tokensLikely: number
  /** The most output tokens that it can come to, of all choices together. */
  readonly outputMax: number
  readonly choices: number
  /** What was asked that bears on the price. */
  readonly asked: Terms
  /** Whether the request itself says how long its answer may get. */
  readonly isCapped: boolean
  /** The most that it can cost with so many output tokens, at the dearest deployment that may serve it. */
  readonly ceilingOf: (output: number) => Nanos
}

/** Where neither the request nor the catalogue says how long an answer may get. */
const OUTPUT_TOKENS_UNKNOWN = 8_192
/** What fills the context of a model of which the catalogue doesn't say how long that is: most have as much. */
const CONTEXT_TOKENS_UNKNOWN = 128_000
/** More than any model answers with; what a request may ask for beyond it would not fit a ledger. */
const OUTPUT_TOKENS_MAX = 1_000_000_000
/** A summary of a long conversation comes to less. */
const OUTPUT_TOKENS_SUMMARY = 8_192
/** Most answers are shorter than this, whatever the request would allow. */
const OUTPUT_TOKENS_LIKELY = 400
/** Of sound that is billed by the second, in base64: speech takes at least 6 kbit/s. What comes by its address may be as long as what is taken of a file. */
const BASE64_BYTES_PER_SECOND = 1_000
const SECONDS_OF_A_FILE = 2_400

/** Checks what the estimate reads, and measures it. Throws a 400 that names the field. */
export function measure(
  endpoint: Endpoint,
  asked: { readonly fields: Fields; readonly members: readonly Member[] } | { readonly chat: ChatRequest },
): Measure {
  if ('chat' in asked) return measureChat(asked.chat)
  const { fields, members } = asked
  switch (endpoint) {
    case 'chat': {
      const { input, pictures, isOpen } = promptSize(fields, members)
      const choices = countOf(fields, 'n', 128) ?? 1
      const cap = outputCap(fields)
      return {
        input,
        pictures,
        isOpen,
        outputMax: (model) => (cap ?? model.outputTokensMax ?? OUTPUT_TOKENS_UNKNOWN) * choices,
        outputLikely: Math.min(cap ?? OUTPUT_TOKENS_LIKELY, OUTPUT_TOKENS_LIKELY) * choices,
        choices,
        isCapped: cap !== null,
        seconds: secondsIn(fields),
        asked: { serviceTier: readServiceTier(fields) },
        compacts: compacts(fields),
      }
    }
    case 'embeddings':
      return { input: embeddingTokens(fields), outputMax: () => 0, isCapped: true }
    case 'images': {
      if (typeof fields.prompt !== 'string' || fields.prompt === '') {
        throw invalidRequest('prompt', 'prompt must be a string that is not empty.')
      }
      const images = countOf(fields, 'n', 10) ?? 1
      return {
        input: tokensAtMost(fields.prompt),
        outputMax: (model) => (model.outputTokensMax ?? OUTPUT_TOKENS_UNKNOWN) * images,
        images,
        isCapped: true,
        asked: {
          picture: { quality: wordOf(fields.quality), size: wordOf(fields.size) },
          serviceTier: readServiceTier(fields),
        },
      }
    }
  }
}

/** The same of a request that another API than chat completions has read. */
function measureChat(chat: ChatRequest): Measure {
  const { outputMax, choices, serviceTier } = chat
  const { input, pictures, isOpen } = chatSize(chat)
  return {
    input,
    pictures,
    isOpen,
    outputMax: (model) => (outputMax ?? model.outputTokensMax ?? OUTPUT_TOKENS_UNKNOWN) * choices,
    outputLikely: Math.min(outputMax ?? OUTPUT_TOKENS_LIKELY, OUTPUT_TOKENS_LIKELY) * choices,
    choices,
    isCapped: outputMax !== null,
    seconds: secondsOf(chat),
    asked: { serviceTier: readServiceTier({ ...chat.rest, service_tier: serviceTier }) },
    compacts: compacts(chat.rest),
  }
}

function secondsOf({ messages }: ChatRequest): number {
  let seconds = 0
  for (const { content } of messages) {
    for (const part of content as readonly ContentPart[]) {
      if (part.type === 'audio') seconds += Math.ceil(part.data.length / BASE64_BYTES_PER_SECOND)
    }
  }
  return seconds
}

/** Mistral takes an address, or bytes, in the place of the object too. */
function secondsIn({ messages }: Fields): number {
  let seconds = 0
  for (const message of Array.isArray(messages) ? messages : []) {
    if (!Array.isArray(message?.content)) continue
    for (const part of message.content) {
      const sound = part?.input_audio?.data ?? part?.input_audio
      if (typeof sound !== 'string') continue
      seconds += /^https?:/.test(sound) ? SECONDS_OF_A_FILE : Math.ceil(sound.length / BASE64_BYTES_PER_SECOND)
    }
  }
  return seconds
}

/** Whether a provider may sum up the conversation first, which is another reading of it, and more to write (https://platform.claude.com/docs/en/build-with-claude/compaction-threshold). */
function compacts({ context_management: management }: Fields): boolean {
  return management != null && JSON.stringify(management).includes('"compact')
}

/** What isn't text is for the provider to refuse. */
function wordOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** A request's size, whoever serves it. */
export interface Measure extends Partial<PromptSize> {
  readonly input: number
  readonly outputMax: (model: Deployment['model']) => number
  readonly isCapped: boolean
  readonly outputLikely?: number
  readonly choices?: number
  /** How many pictures are to be made. */
  readonly images?: number
  readonly seconds?: number
  readonly compacts?: boolean
  /** What the provider may do on its own servers for the request, and bill beside the tokens. */
  readonly hosted?: Hosted | null
  readonly asked?: Terms
}

/** What a call may take at the deployments that may serve it. `costMax` is what none of them is let cost more than. */
export function expect(
  deployments: readonly Deployment[],
  measured: Measure,
  costMax: Nanos | null = null,
): Expectation {
  const { input, isCapped, outputLikely = 0, choices = 1, asked = {} } = measured
  return {
    inputTokens: input,
    tokensLikely: input + outputLikely,
    outputMax: deployments.reduce((max, { model }) => Math.max(max, measured.outputMax(model)), 0),
    choices,
    asked,
    isCapped,
    ceilingOf: (tokens) => {
      let dearest = 0n
      for (const deployment of deployments) {
        const nanos = ceilingAt(deployment, measured, tokens)
        if (nanos > dearest) dearest = nanos
      }
      return costMax !== null && dearest > costMax ? costMax : dearest
    },
  }
}

/** The most that a call can cost at one deployment with so many output tokens. */
export function ceilingAt(deployment: Deployment, measured: Measure, output: number): Nanos {
  const { model, price } = deployment
  const { outputMax, images = 0, seconds = 0, compacts = false, hosted, asked } = measured
  const prompt = inputAt(deployment, measured) * (compacts ? 2 : 1)
  const tools = hosted ? usageOfTools(hosted(deployment), prompt, model.contextTokens ?? CONTEXT_TOKENS_UNKNOWN) : {}
  const { input = prompt } = tools
  const answer = Math.min(output, outputMax(model)) + (compacts ? OUTPUT_TOKENS_SUMMARY : 0)
  return ceilingOf({ ...tools, input, output: answer, image: images, second: seconds, request: 1 }, price!, asked)
}

/** The most that the prompt can come to there. */
function inputAt({ model, upstreamModel }: Deployment, { input, pictures = 0, isOpen = false }: Measure): number {
  const known =
    pictures === 0 ? input : input + pictures * Math.max(pictureTokensMost(upstreamModel) - TOKENS_PER_PICTURE, 0)
  return isOpen ? Math.max(known, model.contextTokens ?? CONTEXT_TOKENS_UNKNOWN) : known
}

/** The most that the request lets an answer have. Providers obey the one name or the other: of both the larger counts. */
function outputCap(fields: Fields): number | null {
  const older = countOf(fields, 'max_tokens', OUTPUT_TOKENS_MAX)
  const newer = countOf(fields, 'max_completion_tokens', OUTPUT_TOKENS_MAX)
  return older !== null && newer !== null ? Math.max(older, newer) : (newer ?? older)
}

function embeddingTokens({ input }: Fields): number {
  if (typeof input === 'string' && input !== '') return tokensAtMost(input)
  if (Array.isArray(input) && input.length > 0) {
    let tokens = 0
    for (const item of input) {
      if (typeof item === 'string') tokens += tokensAtMost(item)
      else if (Array.isArray(item)) tokens += item.length
      else if (typeof item === 'number') tokens += 1
      else throw invalidRequest('input', 'input must hold strings or tokens.')
    }
    return tokens
  }
  throw invalidRequest('input', 'input must be a string or an array that is not empty.')
}

function countOf(fields: Fields, name: string, max: number): number | null {
  const value = fields[name]
  if (value === undefined || value === null) return null
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > max) {
    throw invalidRequest(name, `${name} must be an integer from 1 to ${max}.`)
  }
  return value as number
}

/** About what an answer whose provider says nothing of it holds beside its envelope, at four bytes a token. */
export function textTokens(endpoint: Endpoint, answer: Buffer): number {
  const ENVELOPE_BYTES = 300
  return endpoint === 'chat' ? Math.ceil(Math.max(answer.length - ENVELOPE_BYTES, 0) / 4) : 0
}
