import { hash } from 'node:crypto'
import type { Call, Dialect, Reply } from '../dialect.ts'
import { openai } from '../openai/dialect.ts'
import { onePixelPng } from '../png.ts'
import { Refusal } from '../refusal.ts'
import { letIn, pictures, posted, reply } from './pictures.ts'

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
  refuse: ({ status, message }) => reply(status, { detail: message }),
  fail: (status, { error_message }) => reply(status, { detail: error_message ?? 'Internal Server Error' }),
  headers: (id) => ({ 'x-fal-request-id': id }),
}

/**
 * Black Forest Labs: an answer that says where to ask for the picture, which isn't there when it is asked for the first time
 * (https://docs.bfl.ai/api_integration/integration_guidelines). `refusal` holds the picture back, and with `no_done` it never comes.
 */
export const blackForestLabs: Dialect = {
  ...openai,
  authenticate({ headers }, apiKey) {
    const given = headers['x-key']
    if (given === undefined || given === '') throw new Refusal(403, 'Not authenticated - x-key header is required')
    if (apiKey !== undefined && given !== apiKey) throw new Refusal(403, 'Not authenticated - Invalid API key')
  },
  endpoint(method, path) {
    if (method === 'GET' && path === '/v1/get_result') return { takesBody: false, answer: getResult }
    if (method !== 'POST' || !/^\/v1\/[\w.-]+$/.test(path)) throw new Refusal(404, 'Not Found')
    return { takesBody: true, answer: submit }
  },
  refuse: ({ status, message }) => reply(status, { detail: message }),
  fail: (status, { error_message }) => reply(status, { detail: error_message ?? 'Internal Server Error' }),
  rateLimitHeaders: () => ({}),
  headers: () => ({}),
}

function submit({ body, bytes, settings, origin }: Call): Reply {
  const [colour] = pictures(body.prompt, 1)
  const fate = settings.refusal ? 'moderated' : settings.no_done ? 'pending' : 'ready'
  const id = `${hash('sha1', bytes, 'hex')}-${colour}-${fate}`
  const answer = { id, polling_url: `${origin}/bfl/v1/get_result?id=${id}`, cost: 4, input_mp: 0, output_mp: 1 }
  return { status: 200, content: { json: JSON.stringify(answer), tokens: 0 } }
}

/** Those that were asked for, and weren't there yet. */
const awaited = new Set<string>()

function getResult({ query, origin }: Call): Reply {
  const id = query.get('id') ?? ''
  const [, colour, fate] = /^[0-9a-f]{40}-([0-9a-f]{6})-([a-z]+)$/.exec(id) ?? []
  if (fate === undefined) return reply(404, { id, status: 'Task not found', result: null })
  if (fate === 'pending') return reply(200, { id, status: 'Pending', result: null })
  if (!awaited.delete(id)) {
    awaited.add(id)
    return reply(200, { id, status: 'Pending', result: null })
  }
  if (fate === 'moderated') return reply(200, { id, status: 'Content Moderated', result: null })
  return reply(200, { id, status: 'Ready', result: { sample: `${origin}/sandbox/images/${colour}.png`, seed: 1 } })
}
