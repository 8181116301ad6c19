import type { Endpoint } from '../catalogue.ts'

/** What is known of models by their names, where a price source says nothing of it. From the makers' pages on their models, read 2026-11. */
const NOT_CHAT =
  /embed|whisper|transcribe|tts|realtime|moderation|rerank|ocr|guard|speech|sonic|voice|dall-e|image|imagen|veo|video|flux|stable-diffusion|ideogram|search-preview|computer-use|audio|davinci|babbage|curie|^ada$|instruct-v0|claude-v1|claude-2|deep-research|live|aqa|learnlm|parse|ranker|seedream|kling|sora|lyria/
const EMBEDDING = /embed|^voyage-|bge-|gte-|e5-|nomic-/

/** Those of them that give pictures for tokens. */
const PICTURES = /^(?:gpt-image-|chatgpt-image-|gemini-.*-image(?:-preview)?$)/

/** What the model is called through; null where it is nothing that is served here. */
export function endpointOf(name: string): Endpoint | null {
  if (EMBEDDING.test(name)) return 'embeddings'
  if (PICTURES.test(name)) return 'images'
  return NOT_CHAT.test(name) ? null : 'chat'
}

const RULES: readonly (readonly [string, RegExp])[] = [
  [
    'vision',
    /gpt-4o|gpt-4\.1|gpt-4-turbo|gpt-[56]|^o[134]|chatgpt-4o|claude-(?:3|opus|sonnet|haiku|fable|mythos)|gemini|gemma-3|pixtral|mistral-(?:medium|small)|llama-?4|llama-3\.2-(?:11|90)b|grok-(?:2-vision|4|5)|nova-(?:lite|pro|premier|2)|qwen.*vl|vision|command-a-vision|kimi-k2\.[5-9]|glm-.*v/,
  ],
  [
    'reasoning',
    /^o[134]|codex-mini|gpt-[56](?!.*(?:chat-latest|search-api))|gpt-oss|claude-(?:3-7|opus|sonnet|haiku-4|fable|mythos)|gemini-(?:2\.5|[3-9])|deepseek-(?:r|v3\.[1-9]|reasoner)|[-/.]r1|grok-(?:3-mini|4|5)|magistral|qwq|qwen3|think|reason|sonar-(?:reasoning|deep)|glm-(?:4\.[5-9]|5)|minimax-m|kimi-k2|nova-2/,
  ],
  [
    'code',
    /gpt-4|gpt-[56]|^o[134]|claude|gemini|codestral|devstral|code|deepseek|qwen|llama|grok|kimi|glm|mistral|command-a/,
  ],
  [
    'function-calling',
    /gpt-|^o[134]|claude|gemini|mistral|ministral|codestral|devstral|magistral|command|deepseek|grok|llama-?(?:3\.[1-9]|4)|llama3-[123]|qwen|kimi|glm|nova|jamba|minimax|sonar|pixtral/,
  ],
  [
    'json-schema',
    /gpt-4o|gpt-4\.1|gpt-[56]|gpt-oss|^o[134]|claude-(?:opus-4-[1-9]|sonnet-4-[5-9]|haiku-4|opus-5|sonnet-5|fable|mythos)|gemini|mistral|ministral|command|grok|deepseek|qwen|kimi|glm|sonar|llama-?4/,
  ],
  ['multilingual', /gpt|^o[134]|claude|gemini|gemma|mistral|command|qwen|deepseek|llama|grok|glm|kimi|aya|nova/],
  ['fast', /(?<!ge)mini(?!max)|nano|haiku|flash|lite|micro|8b|small|ministral|instant|fast|luna|scout/],
]
const LONG_CONTEXT_TOKENS = 200_000

/** Tags of a chat model by its name and context. */
export function capabilitiesOf(name: string, contextTokens: number | null): string[] {
  const tags = RULES.filter(([, rule]) => rule.test(name)).map(([tag]) => tag)
  return contextTokens !== null && contextTokens >= LONG_CONTEXT_TOKENS ? [...tags, 'long-context'] : tags
}

const OUTPUTS: readonly (readonly [RegExp, number])[] = [
  // The dearest picture, 1536 × 1024 at high quality: https://platform.openai.com/docs/guides/image-generation
  [/^gpt-image-1(?:\.5|-mini)?$|^chatgpt-image-latest$/, 6_240],
  // The same of any size of up to 8,294,400 pixels: a square of 2880, by OpenAI's calculator there (https://community.openai.com/t/gpt-image-2-output-pricing-calculator-online-and-in-your-code/1382699)
  [/^gpt-image-/, 23_720],
  // https://ai.google.dev/gemini-api/docs/models
  [/^gemini-.*-image/, 32_768],
  [/claude-3-(?:haiku|opus|sonnet)/, 4_096],
  [/claude-3-5/, 8_192],
  [/claude-opus-4-[01]/, 32_000],
  [/claude-3-7|claude-(?:opus|sonnet|haiku|fable|mythos)/, 64_000],
  [/gemini-(?:2\.5|[3-9])/, 65_536],
  [/gemini-/, 8_192],
  [/gpt-[56]/, 128_000],
  [/^o[134]/, 100_000],
  [/gpt-4\.1/, 32_768],
  [/gpt-4o/, 16_384],
  [/gpt-4|gpt-3\.5/, 4_096],
  [/grok-/, 32_768],
  [/deepseek/, 32_768],
]

/** The most output tokens of an answer; null where it isn't known. */
export function outputTokensMaxOf(name: string): number | null {
  return OUTPUTS.find(([rule]) => rule.test(name))?.[1] ?? null
}
