import type { Dialect, Endpoint, Reply } from '../dialect.ts'
import { isObject } from '../json.ts'
import { openai } from '../openai/dialect.ts'
import { onePixelPng } from '../png.ts'
import { seedOf } from '../random.ts'
import { Refusal } from '../refusal.ts'

/** fal's synchronous requests: https://docs.fal.ai/model-apis/model-endpoints/synchronous-requests */
export const fal: Dialect = {
  ...openai,
  authenticate: ({ headers }, apiKey) => letIn(headers.authorization, 'Key', apiKey),
  endpoint: (method, path) =>
    posted(method, path, /^\/[\w.-]+(?:\/[\w.-]+)+$/, ({ prompt, num_images, sync_mode }, origin) => ({
      images: pictures(prompt, num_images).map((colour) => ({
        url:
          sync_mode === true
            ? `data:image/png;base64,${onePixelPng(colour).toString('base64')}`
            : `${origin}/sandbox/images/${colour}.png`,
        width: 1,
        height: 1,
        content_type: 'image/png',
      })),
      seed: 1,
      prompt,
    })),
  refuse: ({ status, message }) => refusal(status, { detail: message }),
  fail: (status, { error_message }) => refusal(status, { detail: error_message ?? 'Internal Server Error' }),
  headers: (id) => ({ 'x-fal-request-id': id }),
}

/** Stability's version 1: https://platform.stability.ai/docs/api-reference#tag/SDXL-1.0-and-SD1.6 */
export const stability: Dialect = {
  ...openai,
  authenticate: ({ headers }, apiKey) => letIn(headers.authorization, 'Bearer', apiKey),
  endpoint: (method, path) =>
    posted(method, path, /^\/v1\/generation\/[^/]+\/text-to-image$/, ({ text_prompts, samples }) => {
      const first: unknown = Array.isArray(text_prompts) ? text_prompts[0] : null
      const artifacts = pictures(isObject(first) ? first.text : null, samples).map((colour) => ({
        base64: onePixelPng(colour).toString('base64'),
        seed: 1,
        finishReason: 'SUCCESS',
      }))
      return { artifacts }
    }),
  refuse: ({ status, message }) => refusal(status, { id: 'sandbox', name: 'bad_request', message }),
  fail: (status, { error_message }) =>
    refusal(status, { id: 'sandbox', name: 'failed', message: error_message ?? 'An error.' }),
  headers: () => ({}),
}

function letIn(given: string | undefined, scheme: 'Key' | 'Bearer', apiKey: string | undefined): void {
  const [, key] = new RegExp(`^${scheme} (.+)$`).exec(given ?? '') ?? []
  if (key === undefined) throw new Refusal(401, 'missing authorization header')
  if (apiKey !== undefined && key !== apiKey) throw new Refusal(401, 'Incorrect API key provided')
}

function posted(
  method: string,
  path: string,
  wanted: RegExp,
  make: (body: Record<string, unknown>, origin: string) => object,
): Endpoint {
  if (method !== 'POST' || !wanted.test(path)) throw new Refusal(404, `Path ${path} not found`)
  return {
    takesBody: true,
    answer: ({ body, origin }) => ({ status: 200, content: { json: JSON.stringify(make(body, origin)), tokens: 0 } }),
  }
}

/** A colour for each. */
function pictures(prompt: unknown, count: unknown): string[] {
  if (typeof prompt !== 'string' || prompt === '') throw new Refusal(422, 'field required: prompt')
  return Array.from({ length: Number(count ?? 1) }, (_, i) =>
    (seedOf(`${prompt} ${i}`) & 0xffffff).toString(16).padStart(6, '0'),
  )
}

function refusal(status: number, body: object): Reply {
  return { status, content: { json: JSON.stringify(body), tokens: 0 } }
}
