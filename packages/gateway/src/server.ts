import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { ApiError, serverError } from '@nemo/domain/errors'
import { requestIdOf, uuidv7 } from '@nemo/domain/ids'
import { Exchange } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import { sendError } from './render.ts'
import { notFound, ROUTES, type Route } from './routes.ts'

/** How long a client may take for its headers, for its whole request, and between two requests. */
const HEADERS_TIMEOUT_MS = 15_000
const REQUEST_TIMEOUT_MS = 120_000
const KEEP_ALIVE_MS = 75_000

export interface GatewayServer {
  readonly url: string
  readonly port: number
  /** Calls under way. */
  readonly active: number
  /**
   * Stops accepting, lets what is under way finish up to the time given, then cuts it off. Every call has ended its hold when this
   * resolves; the answer is the number of those that were cut.
   */
  drain(timeoutMs: number): Promise<number>
}

/** What answers the paths that aren't the data plane's. */
export type Elsewhere = (request: IncomingMessage, response: ServerResponse) => void

/** Serves the data plane on one port, and hands to `elsewhere` what isn't its own. Rejects when the port is taken. */
export async function listen(
  gateway: Gateway,
  address: { host: string; port: number },
  elsewhere: Elsewhere | null = null,
): Promise<GatewayServer> {
  const active = new Map<Exchange, Promise<void>>()
  const others = new Set<ServerResponse>()
  let draining = false
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    },
    (request, response) => {
      if (draining) response.setHeader('connection', 'close')
      if (elsewhere && !isOurs(request.url ?? '/')) {
        others.add(response)
        response.once('close', () => others.delete(response))
        elsewhere(request, response)
        return
      }
      const exchange = new Exchange(request, response)
      const done = serve(gateway, exchange, draining).finally(() => {
        active.delete(exchange)
        gateway.activeCalls = active.size
      })
      active.set(exchange, done)
      gateway.activeCalls = active.size
    },
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const begun = [...active.keys()].some(({ request, response }) => request.socket === socket && response.headersSent)
    if (begun) socket.destroy()
    else answerMalformed(error, socket)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ ...address, backlog: 4096 }, resolve)
  })
  const { port } = server.address() as AddressInfo

  return {
    url: `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`,
    port,
    get active() {
      return active.size
    },
    async drain(timeoutMs) {
      draining = true
      const stopped = closeServer(server)
      const ended = Promise.all([settled(active), ...[...others].map(closed)])
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())])
      const cut = active.size + others.size
      for (const exchange of active.keys()) exchange.response.destroy()
      for (const response of others) response.destroy()
      await settled(active)
      server.closeAllConnections()
      await stopped
      return cut
    },
  }
}

/** Finds the route and handles the exchange. Whatever is thrown becomes an answer. */
async function serve(gateway: Gateway, exchange: Exchange, draining: boolean): Promise<void> {
  try {
    const { method, url = '/' } = exchange.request
    const path = pathOf(url)
    const found = findRoute(method, path)
    if (draining && path === '/readyz') throw stopping()
    await found.route.handle(gateway, exchange, found.id)
  } catch (cause) {
    const error = cause instanceof ApiError ? cause : serverError(cause)
    if (error.status === 500 && !exchange.hungUp) gateway.onBug(exchange.requestId, cause)
    sendError(exchange, error)
  }
}

/** The data plane's own, and all below `/v1/`: who mistypes a path there hears of it in the shape of that API. */
function isOurs(url: string): boolean {
  const path = pathOf(url)
  return path.startsWith('/v1/') || routesAt(path).length > 0
}

function pathOf(url: string): string {
  return url.includes('?') ? url.slice(0, url.indexOf('?')) : url
}

function routesAt(path: string): Route[] {
  return ROUTES.filter((route) =>
    route.path.endsWith('/') ? path.startsWith(route.path) && path.length > route.path.length : path === route.path,
  )
}

function findRoute(method: string | undefined, path: string): { route: Route; id: string } {
  const atPath = routesAt(path)
  const route = atPath.find(
    (candidate) => candidate.method === method || (candidate.method === 'GET' && method === 'HEAD'),
  )
  if (route) return { route, id: decode(path.slice(route.path.length)) }
  if (atPath.length > 0) {
    const allow = atPath.map(({ method }) => (method === 'GET' ? 'GET, HEAD' : method)).join(', ')
    throw new ApiError(405, 'method_not_allowed', `${path.slice(0, 200)} takes ${allow}, not ${method}.`, {
      headers: { allow },
    })
  }
  throw notFound(method, path)
}

function decode(id: string): string {
  try {
    return decodeURIComponent(id)
  } catch {
    return id
  }
}

function stopping(): ApiError {
  return new ApiError(503, 'stopping', 'This process is stopping.', { headers: { 'retry-after': '1' } })
}

async function settled(active: ReadonlyMap<Exchange, Promise<void>>): Promise<void> {
  while (active.size > 0) await Promise.allSettled(active.values())
}

function closed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once('close', resolve))
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
}

/** What isn't HTTP, or took too long to become it, has no exchange: it is answered on the bare socket, unless an answer has begun there. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  const message =
    status === 431
      ? 'The request headers are too large.'
      : status === 408
        ? 'The request took too long to arrive.'
        : 'This is not a valid HTTP request.'
  const { body } = new ApiError(status, 'invalid_request', message)
  const json = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(json)}`,
    `x-nemo-request-id: ${requestIdOf(uuidv7())}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${json}`, () => socket.destroy())
}
