import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readBody } from '../read-body.ts'
import { checkoutPage } from './checkout-page.ts'
import { type Form, parseForm } from './form.ts'
import { newId, type StripeEvent, StripeRefusal } from './objects.ts'
import { Till } from './till.ts'

export interface StripeEmulatorOptions {
  /** The only key that is let in. */
  readonly secretKey: string
  readonly webhookSecret: string
  /** Where events are sent as they happen; without it they wait to be delivered by whoever asks. */
  readonly webhookUrl?: string
  readonly port?: number
  readonly now?: () => number
}

export interface StripeEmulator {
  readonly url: string
  /** What the account holds, and what its customers and their banks can do. */
  readonly till: Till
  /** The requests so far, as `POST /v1/customers`. */
  readonly requests: readonly string[]
  /** How the next so many requests to create something fail: unanswered, having been carried out or not; or with a 500. */
  failNext(how: 'lost-after' | 'lost-before' | 'server-error', times?: number): void
  /** An event as it goes over the wire, with its signature. */
  sign(event: StripeEvent, at?: number): { body: string; headers: Record<string, string> }
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: object
}

/** Starts a Stripe on this machine: as much of its API as buying with Checkout and saved cards takes, with signed events. */
export async function startStripeEmulator(options: StripeEmulatorOptions): Promise<StripeEmulator> {
  const now = options.now ?? Date.now
  const faults: ('lost-after' | 'lost-before' | 'server-error')[] = []
  const requests: string[] = []
  const deliveries = new Set<Promise<unknown>>()
  const sign: StripeEmulator['sign'] = (event, at = now()) => signed(event, options.webhookSecret, at)
  const till = new Till((event) => {
    if (!options.webhookUrl) return
    const delivery = deliver(options.webhookUrl, sign(event)).finally(() => deliveries.delete(delivery))
    deliveries.add(delivery)
  }, now)
  const answered = new Map<string, { asked: string; answer: Answer }>()
  let origin = ''

  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, origin)
    const method = request.method ?? 'GET'
    const text = (await readBody(request))?.toString() ?? ''
    if (pathname.startsWith('/c/pay/')) {
      const { status, headers, html } = checkoutPage(till, method, pathname.slice('/c/pay/'.length), parseForm(text))
      response.writeHead(status, headers).end(html)
      return
    }
    requests.push(`${method} ${pathname}`)
    const fault = method === 'POST' ? faults.shift() : undefined
    if (fault === 'lost-before') return void response.destroy()
    const answer = fault === 'server-error' ? serverError() : once(request, method, pathname, text, searchParams)
    if (fault === 'lost-after') return void response.destroy()
    response.writeHead(answer.status, { 'content-type': 'application/json', 'request-id': newId('req') })
    response.end(JSON.stringify(answer.body))
  }

  /** A request that names a key is carried out once, and answered alike ever after (https://docs.stripe.com/api/idempotent_requests). */
  function once(request: IncomingMessage, method: string, path: string, text: string, query: URLSearchParams): Answer {
    if (request.headers.authorization !== `Bearer ${options.secretKey}`)
      return refusal(new StripeRefusal(401, { type: 'invalid_request_error', message: 'Invalid API Key provided.' }))
    const key = method === 'POST' ? request.headers['idempotency-key'] : undefined
    if (typeof key !== 'string') return act(method, path, text, query)
    const asked = `${path}?${text}`
    const before = answered.get(key)
    if (before && before.asked !== asked)
      return refusal(
        new StripeRefusal(400, {
          type: 'idempotency_error',
          message: 'Keys for idempotent requests can only be used with the same parameters they were first used with.',
        }),
      )
    const answer = before?.answer ?? act(method, path, text, query)
    answered.set(key, { asked, answer })
    return answer
  }

  function act(method: string, path: string, text: string, query: URLSearchParams): Answer {
    try {
      for (const [verb, pattern, handle] of ENDPOINTS) {
        const match = verb === method ? pattern.exec(path) : null
        // As it is now: what happens to it later is no part of this answer.
        if (match)
          return { status: 200, body: structuredClone(handle(till, match[1] ?? '', parseForm(text), query, origin)) }
      }
      throw new StripeRefusal(404, {
        type: 'invalid_request_error',
        message: `Unrecognized request URL (${method}: ${path}).`,
      })
    } catch (error) {
      if (error instanceof StripeRefusal) return refusal(error)
      throw error
    }
  }

  return {
    url: origin,
    till,
    requests,
    failNext(how, times = 1) {
      for (let n = 0; n < times; n++) faults.push(how)
    },
    sign,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await Promise.allSettled(deliveries)
    },
  }
}

type Handle = (till: Till, id: string, form: Form, query: URLSearchParams, origin: string) => object

const ENDPOINTS: readonly (readonly ['GET' | 'POST' | 'DELETE', RegExp, Handle])[] = [
  ['POST', /^\/v1\/customers$/, (till, _, form) => till.createCustomer(form)],
  ['GET', /^\/v1\/customers\/(\w+)$/, (till, id) => till.customer(id)],
  ['POST', /^\/v1\/customers\/(\w+)$/, (till, id, form) => till.updateCustomer(id, form)],
  ['DELETE', /^\/v1\/customers\/(\w+)$/, (till, id) => till.deleteCustomer(id)],
  ['POST', /^\/v1\/checkout\/sessions$/, (till, _id, form, _query, origin) => till.createSession(form, origin)],
  ['GET', /^\/v1\/checkout\/sessions\/(\w+)$/, (till, id) => till.session(id)],
  ['POST', /^\/v1\/checkout\/sessions\/(\w+)\/expire$/, (till, id) => till.expire(id)],
  ['POST', /^\/v1\/payment_intents$/, (till, _, form) => till.createIntent(form)],
  ['GET', /^\/v1\/payment_intents$/, (till, _id, _form, query) => page(till.intentsOf(query.get('customer')))],
  ['GET', /^\/v1\/payment_intents\/(\w+)$/, (till, id) => till.intent(id)],
  ['POST', /^\/v1\/payment_intents\/(\w+)\/cancel$/, (till, id) => till.cancelIntent(id)],
  ['GET', /^\/v1\/payment_methods\/(\w+)$/, (till, id) => till.method(id)],
  ['POST', /^\/v1\/payment_methods\/(\w+)\/detach$/, (till, id) => till.detach(id)],
  ['POST', /^\/v1\/refunds$/, (till, _, form) => till.createRefund(form)],
  [
    'GET',
    /^\/v1\/refunds$/,
    (till, _id, _form, query) =>
      page(
        [...till.refunds.values()].filter((refund) => refund.payment_intent === query.get('payment_intent')).reverse(),
      ),
  ],
]

/** All on one. */
function page(data: readonly object[]): object {
  return { object: 'list', url: '/v1', has_more: false, data }
}

function refusal({ status, body }: StripeRefusal): Answer {
  return { status, body: { error: structuredClone(body) } }
}

function serverError(): Answer {
  return { status: 500, body: { error: { type: 'api_error', message: 'Something went wrong on our end.' } } }
}

/** As https://docs.stripe.com/webhooks#verify-manually has it: HMAC-SHA256 of time and body. */
function signed(event: StripeEvent, secret: string, at: number) {
  const body = JSON.stringify(event)
  const seconds = Math.floor(at / 1_000)
  const signature = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')
  return {
    body,
    headers: { 'content-type': 'application/json', 'stripe-signature': `t=${seconds},v1=${signature}` },
  }
}

/** Once: a page that is opened in development needs no more, and tests deliver by themselves. */
async function deliver(
  url: string,
  { body, headers }: { body: string; headers: Record<string, string> },
): Promise<void> {
  await fetch(url, { method: 'POST', body, headers, signal: AbortSignal.timeout(30_000) }).catch(() => {})
}
