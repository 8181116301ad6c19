import { lookup as systemLookup } from 'node:dns/promises'
import { isPublic, isWithin, type Network, parseAddress } from '@nemo/domain/address'
import { Agent, buildConnector, request } from 'undici'

export interface OutboundRules {
  /** Whether `http:` is let through. Only the operator says so. */
  readonly allowHttp: boolean
  /** Networks that are let through though they aren't public: the operator's own. */
  readonly allowedNetworks: readonly Network[]
}

export const STRICT: OutboundRules = { allowHttp: false, allowedNetworks: [] }

/** Addresses of a host, as the system would find them. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

export interface OutboundRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Bounds on everything together: names, connecting, sending, and reading what is read of the answer. */
  readonly timeoutMs: number
  /** What is read of the answer; the rest is cut off unread. */
  readonly bytesMax: number
  readonly signal?: AbortSignal
}

export interface OutboundAnswer {
  readonly status: number
  /** One value of each; of several the first. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Whether there was more of a body than was read. */
  readonly cut: boolean
}

/** A request that wasn't made, or failed. The message may be shown to whoever named the URL: it says nothing of what is behind it. */
export class OutboundFailure extends Error {
  override readonly name = 'OutboundFailure'
  /** True when the rules forbid it, so that trying again is of no use until something changes. */
  readonly refused: boolean
  constructor(message: string, refused: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.refused = refused
  }
}

/**
 * Calls URLs that tenants have named, such that none of them leads into the operator's network: every address that a name has must be public, the
 * connection goes to those very addresses and no others, and where it went is looked at once more. Redirects aren't followed, nothing is decompressed.
 */
export class Outbound {
  readonly #rules: OutboundRules
  readonly #agent: Agent

  constructor(rules: OutboundRules, resolve: Resolve = systemResolve) {
    this.#rules = rules
    this.#agent = new Agent({
      connect: guardedConnector(rules, resolve),
      // No connection is kept: each is checked anew.
      pipelining: 0,
      allowH2: false,
      maxHeaderSize: HEADER_BYTES_MAX,
    })
  }

  /** Throws unless the URL is one that may be called, as far as it says itself. Its name is looked up only when it is called. */
  check(text: string): URL {
    return checkUrl(text, this.#rules)
  }

  /** Throws an OutboundFailure when there is no answer to speak of; any status is an answer. */
  async request(wanted: OutboundRequest): Promise<OutboundAnswer> {
    const url = this.check(wanted.url)
    const deadline = AbortSignal.timeout(wanted.timeoutMs)
    const signal = wanted.signal ? AbortSignal.any([wanted.signal, deadline]) : deadline
    try {
      const answering = request(url, {
        dispatcher: this.#agent,
        method: wanted.method,
        headers: { 'accept-encoding': 'identity', ...wanted.headers },
        body: wanted.body ?? null,
        signal,
        headersTimeout: wanted.timeoutMs,
        bodyTimeout: wanted.timeoutMs,
      })
      const { statusCode, headers, body } = await orAborted(answering, signal)
      // An answer that is cut off below ends with an error that nobody waits for.
      body.on('error', () => {})
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of body as AsyncIterable<Buffer>) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > wanted.bytesMax) break
      }
      body.destroy()
      return {
        status: statusCode,
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name, String(Array.isArray(value) ? value[0] : value)]),
        ),
        body: Buffer.concat(chunks).subarray(0, wanted.bytesMax),
        cut: bytes > wanted.bytesMax,
      }
    } catch (error) {
      if (wanted.signal?.aborted) throw new OutboundFailure('stopped', false, error)
      if (deadline.aborted)
        throw new OutboundFailure(`no answer within ${wanted.timeoutMs / 1000} seconds`, false, error)
      throw failureOf(error)
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

/** The client hears of the signal only once it is connected, and a look-up can't be stopped at all. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = withReject()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  // What comes after the signal is ended by it.
  promise.catch(() => {})
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function withReject(): { promise: Promise<never>; reject: (reason: unknown) => void } {
  let reject!: (reason: unknown) => void
  const promise = new Promise<never>((_, rejectIt) => {
    reject = rejectIt
  })
  return { promise, reject }
}

const HEADER_BYTES_MAX = 16_384
const CONNECT_MS = 10_000

function checkUrl(text: string, rules: OutboundRules): URL {
  if (!URL.canParse(text)) throw new OutboundFailure('it is not a URL', true)
  const url = new URL(text)
  if (url.protocol !== 'https:' && !(rules.allowHttp && url.protocol === 'http:'))
    throw new OutboundFailure('only https:// is allowed', true)
  if (url.username || url.password) throw new OutboundFailure('a URL with a user or a password is not allowed', true)
  // What listens below 1024, but for the web, speaks something else that a request could be taken for.
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  if (port < 1024 && port !== 443 && !(port === 80 && url.protocol === 'http:'))
    throw new OutboundFailure(`port ${port} is not allowed: use 443, or one above 1023`, true)
  // The URL has made one form of every way to write an IPv4 address: 2130706433, 0x7f.1, 017700000001.
  const literal = parseAddress(url.hostname.replace(/^\[|\]$/g, ''))
  if (literal) insist(rules, [url.hostname.replace(/^\[|\]$/g, '')])
  return url
}

/** Throws unless there are addresses and the rules let each through: of a name that has one public and one private address, neither is called. */
function insist(rules: OutboundRules, addresses: readonly string[]): void {
  if (addresses.length === 0) throw new OutboundFailure('the host has no address', false)
  for (const text of addresses) {
    const address = parseAddress(text)
    if (!address || !(isPublic(address) || rules.allowedNetworks.some((network) => isWithin(address, network))))
      throw new OutboundFailure('the host has an address that is not public', true)
  }
}

function guardedConnector(rules: OutboundRules, resolve: Resolve): buildConnector.connector {
  const connect = buildConnector({
    timeout: CONNECT_MS,
    // What is checked here is what is connected to: nobody asks for the name again. For an address there is no look-up; `checkUrl` has seen it.
    lookup(hostname, options, callback) {
      resolve(hostname).then(
        (found) => {
          try {
            insist(rules, found)
          } catch (error) {
            return callback(error as Error, [])
          }
          const addresses = found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
          if (options.all) callback(null, addresses)
          else callback(null, addresses[0]!.address, addresses[0]!.family)
        },
        (error) => callback(error, []),
      )
    },
  })
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error) return callback(error, null)
      try {
        insist(rules, [socket.remoteAddress ?? ''])
        callback(null, socket)
      } catch (refusal) {
        socket.destroy()
        callback(refusal as Error, null)
      }
    })
}

const systemResolve: Resolve = async (hostname) =>
  (await systemLookup(hostname, { all: true })).map(({ address }) => address)

function failureOf(error: unknown): OutboundFailure {
  if (error instanceof OutboundFailure) return error
  const first = error instanceof AggregateError ? error.errors[0] : error
  const { code = '' } = first as NodeJS.ErrnoException
  return new OutboundFailure(
    SENTENCES[code] ??
      (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_|UNABLE_TO|SELF_SIGNED|EPROTO)/.test(code)
        ? `TLS failed (${code})`
        : 'the connection failed'),
    false,
    error,
  )
}

const SENTENCES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name could not be looked up',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'the host can’t be reached',
  ENETUNREACH: 'the host can’t be reached',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_HEADERS_OVERFLOW: 'the headers of the answer are too large',
}
