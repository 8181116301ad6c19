import type { Untranslatable } from './untranslatable.ts'

/**
 * A chat request as every dialect can write it and every surface can read it: what is asked, freed of how any one API spells it. A surface
 * (chat completions, messages, responses) reads one; a dialect writes it for a provider. Everything is readonly and plain data.
 */
export interface ChatRequest {
  /** In the caller's order: system messages may stand anywhere. Never empty. */
  readonly messages: readonly Message[]
  readonly tools: readonly Tool[]
  readonly toolChoice: ToolChoice | null
  readonly parallelToolCalls: boolean | null
  /** The most output tokens of each choice; null where the request doesn't say. */
  readonly outputMax: number | null
  readonly temperature: number | null
  readonly topP: number | null
  readonly topK: number | null
  readonly minP: number | null
  readonly frequencyPenalty: number | null
  readonly presencePenalty: number | null
  readonly repetitionPenalty: number | null
  readonly seed: number | null
  readonly stop: readonly string[]
  readonly choices: number
  /** How many alternatives to tell of each token, 0 for the token's own alone; null where none are wanted. */
  readonly logprobs: number | null
  readonly logitBias: JsonObject | null
  readonly format: OutputFormat
  readonly reasoning: ReasoningWish | null
  readonly user: string | null
  readonly serviceTier: string | null
  readonly promptCacheKey: string | null
  readonly streamed: boolean
  /**
   * Top-level fields that no surface knows, as they came. A dialect writes them into the provider's body where it has none of that name: what isn't understood
   * is passed on, and the provider says what it thinks of it.
   */
  readonly rest: JsonObject
  /** Fields that OpenAI documents and that only its own dialect can write: `modalities`, `audio`, `prediction`, `store`, `web_search_options`, `verbosity`, … */
  readonly openAiOnly: JsonObject
  /** Fields that Anthropic documents, and that bear on the answer as nobody else's servers can: `mcp_servers`, `container`. */
  readonly anthropicOnly?: JsonObject
  /** What of it goes to providers that speak the caller's API, and to nobody else. */
  readonly untranslatable?: readonly Untranslatable[]
}

export type JsonObject = Readonly<Record<string, unknown>>

export type Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage

export interface SystemMessage {
  readonly role: 'system'
  /** Whether the caller said `developer`; of account only to dialects that tell them apart. */
  readonly isDeveloper: boolean
  readonly content: readonly TextPart[]
  readonly name: string | null
}

export interface UserMessage {
  readonly role: 'user'
  readonly content: readonly ContentPart[]
  readonly name: string | null
}

export interface AssistantMessage {
  readonly role: 'assistant'
  /** What the model thought, said and called, in its own order: signed thoughts must go back unchanged, and where they stood. */
  readonly content: readonly AssistantPart[]
  /** Of what it said aloud, which OpenAI keeps for a while. */
  readonly audioId?: string | null
  readonly name: string | null
  /** Where prompt caching is to reach up to a message whose last part is a tool call. */
  readonly cache: CacheControl | null
}

/** One result. Several that follow each other answer the calls of one assistant message. */
export interface ToolMessage {
  readonly role: 'tool'
  readonly toolCallId: string
  readonly content: readonly ContentPart[]
  readonly isError: boolean
  readonly cache: CacheControl | null
}

export type ContentPart = TextPart | ImagePart | DocumentPart | AudioPart | VideoPart

export type AssistantPart = ReasoningBlock | TextPart | Refusal | ToolCall

export interface TextPart {
  readonly type: 'text'
  readonly text: string
  readonly cache: CacheControl | null
}

export interface ImagePart {
  readonly type: 'image'
  readonly source: Source
  /** `auto`, `low`, `high`, or null. */
  readonly detail: string | null
  readonly cache: CacheControl | null
}

export interface DocumentPart {
  readonly type: 'document'
  readonly source: Source
  readonly name: string | null
  readonly cache: CacheControl | null
}

export interface AudioPart {
  readonly type: 'audio'
  /** Base64. */
  readonly data: string
  /** `wav`, `mp3`, … */
  readonly format: string
}

export interface VideoPart {
  readonly type: 'video'
  readonly source: Source
}

export type Source =
  | { readonly kind: 'url'; readonly url: string }
  /** `data` is base64; `mediaType` such as `image/png` or `application/pdf`. */
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
  /** A file that was uploaded to the provider before. */
  | { readonly kind: 'file'; readonly id: string }
  /** Plain text as a document. */
  | { readonly kind: 'text'; readonly text: string }

/** Up to here the prompt is to be cached. */
export interface CacheControl {
  readonly ttl: '5m' | '1h'
}

export interface Refusal {
  readonly type: 'refusal'
  readonly text: string
}

export interface ReasoningBlock {
  readonly type: 'reasoning'
  /** What may be read of it; null where only the provider can read it. */
  readonly text: string | null
  /** What proves to the provider that the text is its own. */
  readonly signature: string | null
  /** The block as only the provider can read it (Anthropic's `redacted_thinking`, OpenAI's `encrypted_content`). */
  readonly encrypted: string | null
  /** The provider's name for the block, where it has one. */
  readonly id: string | null
}

export interface ToolCall {
  readonly type: 'call'
  readonly id: string
  readonly name: string
  /** JSON text, as the model wrote it: may be empty, may be malformed. */
  readonly arguments: string
  /** Gemini's `thoughtSignature`, which must go back with the call. */
  readonly signature: string | null
}

export type Tool =
  | {
      readonly type: 'function'
      readonly name: string
      readonly description: string | null
      /** JSON schema; null where the function takes nothing. */
      readonly parameters: JsonObject | null
      readonly strict: boolean | null
      readonly cache: CacheControl | null
    }
  /** A tool that the provider runs itself, or a kind that only one API has; written as it came to a dialect that knows it, and refused elsewhere. */
  | { readonly type: 'other'; readonly of: 'openai' | 'anthropic' | 'responses'; readonly raw: JsonObject }

export type ToolChoice =
  | { readonly type: 'auto' | 'none' | 'required' }
  | { readonly type: 'function'; readonly name: string }
  /** Only these of the tools. */
  | { readonly type: 'allowed'; readonly mode: 'auto' | 'required'; readonly names: readonly string[] }

export type OutputFormat =
  | { readonly type: 'text' }
  | { readonly type: 'json' }
  | {
      readonly type: 'schema'
      readonly name: string
      readonly description: string | null
      readonly schema: JsonObject
      readonly strict: boolean | null
    }

export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh'

/** How much the model is to think. At least one of effort and budget is there, unless only `summary` is. */
export interface ReasoningWish {
  readonly effort: Effort | null
  /** In tokens; Anthropic and Gemini count so. 0 for none. */
  readonly budget: number | null
  /** `auto`, `concise` or `detailed`, where a surface asks for a summary. */
  readonly summary: string | null
}
