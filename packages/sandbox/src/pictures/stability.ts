import type { Call, Dialect, Reply } from '../dialect.ts'
import { isObject } from '../json.ts'
import { openai } from '../openai/dialect.ts'
import { onePixelPng } from '../png.ts'
import { Refusal } from '../refusal.ts'
import { letIn, pictures, posted, reply } from './pictures.ts'

/**
 * Stability's version 1 (https://platform.stability.ai/docs/api-reference#tag/SDXL-1.0-and-SD1.6), which takes JSON, and its services of today
 * (https://platform.stability.ai/docs/api-reference#tag/Generate), which take a form.
 */
export const stability: Dialect = {
  ...openai,
  authenticate: ({ headers }, apiKey) => letIn(headers.authorization, 'Bearer', apiKey),
  endpoint: (method, path) => {
    const [, service] = /^\/v2beta\/stable-image\/generate\/(core|ultra|sd3)$/.exec(path) ?? []
    if (method === 'POST' && service !== undefined)
      return { takesBody: false, answer: (call) => generate(call, service) }
    if (method === 'GET' && path === '/v1/engines/list')
      return { takesBody: false, answer: () => reply(200, [{ id: 'stable-diffusion-xl-1024-v1-0', type: 'PICTURE' }]) }
    return posted(method, path, /^\/v1\/generation\/[^/]+\/text-to-image$/, ({ text_prompts, samples }) => {
      const first: unknown = Array.isArray(text_prompts) ? text_prompts[0] : null
      const artifacts = pictures(isObject(first) ? first.text : null, samples).map((colour) => ({
        base64: onePixelPng(colour).toString('base64'),
        seed: 1,
        finishReason: 'SUCCESS',
      }))
      return { artifacts }
    })
  },
  refuse: ({ status, message }) => reply(status, { id: 'sandbox', name: 'bad_request', message, errors: [message] }),
  fail: (status, { error_message }) =>
    reply(status, { id: 'sandbox', name: 'failed', message: error_message ?? 'An error.' }),
  headers: () => ({}),
}

/** What each takes, beside what all do. */
const FORM_FIELDS = ['prompt', 'negative_prompt', 'aspect_ratio', 'seed', 'output_format', 'style_preset']
const OWN_FIELDS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ultra: ['strength'],
  sd3: ['model', 'mode', 'strength', 'cfg_scale'],
}
const MODELS = ['sd3.5-large', 'sd3.5-large-turbo', 'sd3.5-medium', 'sd3.5-flash']
const RATIOS = ['16:9', '1:1', '21:9', '2:3', '3:2', '4:5', '5:4', '9:16', '9:21']

function generate({ bytes, headers }: Call, service: string): Reply {
  const fields = readForm(bytes, headers['content-type'] ?? '')
  const stranger = Object.keys(fields).find((name) => ![...FORM_FIELDS, ...OWN_FIELDS[service]!].includes(name))
  if (stranger !== undefined) throw wrongForm(`${stranger}: is not expected`)
  const { prompt, aspect_ratio: ratio = '1:1', model = 'sd3.5-large' } = fields
  if (!prompt) throw wrongForm('prompt: is required')
  if (!RATIOS.includes(ratio)) throw wrongForm(`aspect_ratio: must be one of ${RATIOS.join(', ')}`)
  if (!MODELS.includes(model)) throw wrongForm(`model: must be one of ${MODELS.join(', ')}`)
  if (!/^application\/json/.test(headers.accept ?? ''))
    throw wrongForm('accept: the sandbox gives application/json only')
  const [colour] = pictures(prompt, 1)
  return reply(200, { image: onePixelPng(colour!).toString('base64'), finish_reason: 'SUCCESS', seed: 1 })
}

/** https://www.rfc-editor.org/rfc/rfc7578 */
function readForm(bytes: Buffer, type: string): Record<string, string> {
  const [, boundary] = /^multipart\/form-data; ?boundary="?([^";]+)"?$/.exec(type) ?? []
  if (boundary === undefined) throw wrongForm('content-type: must be multipart/form-data')
  const [preamble, ...parts] = `\r\n${bytes.toString()}`.split(`\r\n--${boundary}`)
  const end = parts.pop()
  if (preamble !== '' || end?.trim() !== '--') throw wrongForm('the form has no end')
  return Object.fromEntries(
    parts.map((part) => {
      const [, name, value] = /^\r\ncontent-disposition: form-data; name="([^"]*)"\r\n\r\n([\s\S]*)$/i.exec(part) ?? []
      if (name === undefined) throw wrongForm('a part has no name')
      return [name, value!]
    }),
  )
}

function wrongForm(message: string): Refusal {
  return new Refusal(400, message)
}
