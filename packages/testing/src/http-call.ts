import { type Agent, type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly trailers: NodeJS.Dict<string>
  readonly body: string
  /** The body parsed; for tests, so that it may be looked into freely. */
  // biome-ignore lint/suspicious/noExplicitAny: what an endpoint answers is what the test is about
  readonly json: any
}

export interface CallOptions {
  readonly method?: string
  readonly key?: string | undefined
  readonly headers?: Record<string, string>
  /** Sent as it is; an object is written as JSON first. */
  readonly body?: string | Buffer | object
  readonly agent?: Agent
  /** Sends the body in chunks, without saying how long it is. */
  readonly chunked?: boolean
}

/** One HTTP request with nothing between it and the wire: no retries, no parsing that could fail, trailers included. */
export function httpCall(url: string, options: CallOptions = {}): Promise<Answer> {
  const { body, key, chunked = false } = options
  const bytes =
    body === undefined
      ? null
      : typeof body === 'string' || Buffer.isBuffer(body)
        ? Buffer.from(body)
        : Buffer.from(JSON.stringify(body))
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: options.method ?? (bytes ? 'POST' : 'GET'),
      agent: options.agent ?? false,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(bytes === null ? {} : chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': bytes.length }),
        ...options.headers,
      },
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          trailers: response.trailers,
          body: text,
          json: String(response.headers['content-type']).includes('json') && text !== '' ? JSON.parse(text) : null,
        })
      })
    })
    sent.end(bytes ?? undefined)
  })
}

/** Writes bytes to a socket and answers with all that comes back until the other side closes it, or until `enough` says so. */
export function rawCall(port: number, bytes: string | Buffer, enough?: (answer: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const finish = () => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      if (enough?.(answer)) finish()
    })
    socket.on('end', finish)
    socket.on('error', (error) => (answer === '' ? reject(error) : finish()))
  })
}
