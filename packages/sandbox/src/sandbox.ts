import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { control } from './control.ts'
import type { Dialect, Reply } from './dialect.ts'
import { dialectOf } from './dialects.ts'
import { type Exchange, hang, openExchange, pause, requestId } from './exchange.ts'
import { isObject, type JsonObject } from './json.ts'
import { openai } from './openai/dialect.ts'
import { type Random, randomFrom } from './random.ts'
import { parseObject, readBody } from './read-body.ts'
import { Refusal } from './refusal.ts'
import { send } from './send.ts'
import { defaultConfig, readConfig, readRequestSettings, type SandboxConfig } from './settings.ts'
import { createStats, type SandboxStats } from './stats.ts'

export type Sandbox = {
  /** The base URL for an OpenAI client, such as http://127.0.0.1:4010/v1. */
  url: string
  origin: string
  port: number
  readonly config: Readonly<SandboxConfig>
  /** Changes settings of the process; `null` sets one back to its default. Throws a `Refusal` that names a bad one. */
  configure(partial: SettingsInput): Readonly<SandboxConfig>
  /** Counters, and the last so many requests (all that are kept, if not said). */
  stats(last?: number): SandboxStats
  /** Back to the settings of the start, with nothing counted. */
  reset(): void
  /** Stops at once: open connections, hanging ones included, are closed. */
  close(): Promise<void>
}

type SettingsInput = { [Name in keyof SandboxConfig]?: SandboxConfig[Name] | null }

export type SandboxOptions = {
  /** 0, the default, takes a free one. */
  port?: number
  host?: string
  /** The only key that is let in. Without it any key will do, but there must be one. */
  apiKey?: string
  config?: Partial<SandboxConfig>
}

/** Starts a provider on this machine that speaks OpenAI's and others' wire formats over real HTTP, faults included. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const atStart: SandboxConfig = { ...defaultConfig, ...readConfig(options.config) }
  let config = atStart
  let chance = chanceOf(config)
  const stats = createStats()
  const server = createServer((request, response) => {
    const url = request.url!
    void (url.startsWith('/sandbox/') ? answerControl(request, response) : answer(request, response, url))
  })
  // Longer than a client's pool keeps its sockets, so that it is never the sandbox that closes an idle one.
  server.keepAliveTimeout = 120_000
  server.on('connection', (socket) => {
    stats.connected()
    socket.on('close', () => stats.disconnected())
  })
  const host = options.host ?? '127.0.0.1'
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`

  const sandbox: Sandbox = {
    url: `${origin}/v1`,
    origin,
    port,
    get config() {
      return config
    },
    configure(partial) {
      config = { ...config, ...readConfig(partial) }
      chance = chanceOf(config)
      return config
    },
    stats: (last) => stats.read(last),
    reset() {
      config = atStart
      chance = chanceOf(config)
      stats.clear()
    },
    close() {
      return new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      })
    },
  }
  return sandbox

  async function answer(request: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
    const path = url.split('?', 1)[0]!
    const { dialect, path: within } = dialectOf(path)
    const record = stats.begin(request, requestId(), path)
    const exchange = openExchange(request, response, record)
    response.on('close', () => stats.end(record, !response.writableFinished && !exchange.cut))
    let settings = config
    try {
      const bytes = await readBody(request)
      if (bytes === undefined) return
      const { headers } = request
      const method = request.method!
      const query = new URLSearchParams(url.slice(path.length))
      dialect.authenticate({ method, path, query, headers, bytes }, options.apiKey)
      const endpoint = dialect.endpoint(method, within)
      let body: JsonObject = {}
      if (endpoint.takesBody) {
        body = parseObject(bytes)
        stats.received(record, body, bytes.length, endpoint)
        // Converse has a place of its own for fields that it doesn't know.
        const { additionalModelRequestFields: more } = body
        const asked = body.sandbox ?? (isObject(more) ? more.sandbox : undefined)
        if (asked !== undefined) settings = { ...config, ...readRequestSettings(asked) }
      }
      const fault = chance(settings)
      const failure = settings.status ?? fault.failure
      if (settings.reset === 'before') return resetConnection(exchange)
      if (settings.hang === 'before' || fault.hang) return await hang(exchange)
      if (settings.latency_ms > 0) await pause(exchange, settings.latency_ms)
      const reply =
        failure === null
          ? endpoint.answer({ body, bytes, headers, query, settings, origin })
          : dialect.fail(failure, settings)
      await send(limited(reply, dialect, settings), dialect, exchange, settings)
    } catch (error) {
      const refusal = asRefusal(error)
      if (response.headersSent) response.destroy()
      else await send(dialect.refuse(refusal), dialect, exchange, defaultConfig)
    }
  }

  async function answerControl(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await control(sandbox, request, response)
    } catch (error) {
      const { status, content } = openai.refuse(asRefusal(error))
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end('json' in content ? content.json : '')
    }
  }
}

/** Draws the process's random faults: the same seed and the same order of requests give the same ones. */
function chanceOf(config: SandboxConfig): (settings: SandboxConfig) => { failure: number | null; hang: boolean } {
  const random: Random = randomFrom(config.seed)
  return (settings) => ({
    failure: settings.failure_rate > 0 && random() < settings.failure_rate ? settings.failure_status : null,
    hang: settings.hang_rate > 0 && random() < settings.hang_rate,
  })
}

function resetConnection(exchange: Exchange): void {
  exchange.cut = true
  exchange.request.socket.resetAndDestroy()
}

function limited(reply: Reply, dialect: Dialect, settings: SandboxConfig): Reply {
  if (!settings.rate_limit_headers) return reply
  const headers = { ...reply.headers, ...dialect.rateLimitHeaders(settings, reply.status === 429) }
  return { ...reply, headers }
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  // A defect of the sandbox must not pass for one of the faults it was asked for.
  console.error(error)
  return new Refusal(500, 'The sandbox itself has failed; its log says why.', { code: 'sandbox_defect' })
}
