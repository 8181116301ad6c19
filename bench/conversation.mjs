// What every target is asked and what the upstream says it used: one small chat completion, about 1 KB in and 0.6 KB out.

export const MODEL = 'gpt-4o-mini'
export const UPSTREAM_MODEL = 'gpt-4o-mini-2024-07-18'
export const USAGE = { prompt_tokens: 212, completion_tokens: 52, total_tokens: 264 }
export const CHUNKS = 50

/** An ordinary small model's prices, in USD per million tokens, and what a call comes to with them. */
export const PRICE_USD = { input: '0.15', output: '0.6' }
export const COST_NANOS = BigInt(USAGE.prompt_tokens * 150 + USAGE.completion_tokens * 600)

const messages = [
  {
    role: 'system',
    content: 'You are a careful assistant that answers questions about accounts, billing and usage. '.repeat(4),
  },
  {
    role: 'user',
    content: `Summarise the following notes in two sentences: ${Array.from(
      { length: 11 },
      (_, i) => `Note ${i + 1}: the "quota" was reached at 10:${i + 1}.\n`,
    ).join('')}`,
  },
]

const plain = { model: MODEL, messages, temperature: 0.2, max_tokens: 256 }

export const BODIES = {
  plain: JSON.stringify(plain),
  stream: JSON.stringify({ ...plain, stream: true, stream_options: { include_usage: true } }),
}
