import type { Dialect, Reply, StreamEvent } from './dialect.ts'
import { breathe, drained, type Exchange, hang, pause } from './exchange.ts'
import type { SandboxConfig } from './settings.ts'

/** Writes a reply, with the faults of the connection that the settings ask for. Returns once nothing is left to do. */
export async function send(reply: Reply, dialect: Dialect, exchange: Exchange, settings: SandboxConfig): Promise<void> {
  if (exchange.gone) return
  const { content } = reply
  if ('events' in content) {
    const type = streamTypes[reply.framing ?? 'sse']
    writeHead(reply, dialect, exchange, { 'content-type': type, 'cache-control': 'no-cache' })
    await sendEvents(content.events, exchange, settings)
  } else {
    const json = settings.malformed ? content.json.slice(0, content.json.length >> 1) : content.json
    const length = Buffer.byteLength(json)
    writeHead(reply, dialect, exchange, { 'content-type': 'application/json', 'content-length': String(length) })
    if (isPlain(settings)) {
      exchange.response.end(json)
      exchange.record.bytes = length
      exchange.record.tokens_sent = content.tokens
    } else {
      await sendFaultyJson(json, content.tokens, exchange, settings)
    }
  }
}

const streamTypes = {
  sse: 'text/event-stream; charset=utf-8',
  'event-stream': 'application/vnd.amazon.eventstream',
} as const

function writeHead(
  reply: Reply,
  dialect: Dialect,
  { response, record, startedAt }: Exchange,
  more: Record<string, string>,
): void {
  record.status = reply.status
  const own = dialect.headers(record.id, performance.now() - startedAt)
  response.writeHead(reply.status, { ...more, ...own, ...reply.headers })
}

function isPlain(settings: SandboxConfig): boolean {
  return settings.chunk_bytes === null && settings.cut_at_byte === null && settings.hang !== 'amid'
}

async function sendFaultyJson(
  json: string,
  tokens: number,
  exchange: Exchange,
  settings: SandboxConfig,
): Promise<void> {
  const body = bodyWriter(exchange, settings)
  if (settings.hang === 'amid') {
    await body.write(json.slice(0, json.length >> 1))
    await body.flush()
    return hang(exchange)
  }
  await body.write(json)
  await body.end()
  if (!exchange.gone && !exchange.cut) exchange.record.tokens_sent = tokens
}

// A stream without pauses gives way this often, or a hang-up would go unnoticed until its end.
const eventsPerTurn = 64

async function sendEvents(events: Iterable<StreamEvent>, exchange: Exchange, settings: SandboxConfig): Promise<void> {
  const body = bodyWriter(exchange, settings)
  const newline = settings.crlf ? '\r\n' : '\n'
  const comment = settings.comments ? `: keep-alive${newline}${newline}` : ''
  let sent = 0
  for (const event of events) {
    if (settings.hang === 'amid' && sent === settings.hang_after) {
      await body.flush()
      return hang(exchange)
    }
    if (sent > 0 && settings.chunk_ms > 0) await pause(exchange, settings.chunk_ms)
    else if (sent % eventsPerTurn === eventsPerTurn - 1) await breathe(exchange)
    // Event 1 is the first token: the stream looks healthy until then.
    const waiting = body.write(bytesOf(settings.malformed && sent === 1 ? halved(event) : event))
    if (waiting !== undefined) await waiting
    if (exchange.gone || exchange.cut) return
    exchange.record.tokens_sent += event.tokens
    sent++
  }
  if (settings.hang === 'amid') {
    await body.flush()
    return hang(exchange)
  }
  await body.end()

  function bytesOf({ event, data, bytes }: StreamEvent): string | Uint8Array {
    if (bytes !== undefined) return bytes
    const name = event === undefined ? '' : `event: ${event}${newline}`
    return `${comment}${name}data: ${data}${newline}${newline}`
  }
}

function halved(event: StreamEvent): StreamEvent {
  const { data, bytes } = event
  return {
    ...event,
    data: data.slice(0, data.length >> 1),
    ...(bytes && { bytes: garbled(bytes) }),
  }
}

/** Binary events end in their checksum, which is then a wrong one. */
function garbled(bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes)
  changed[bytes.length - 1]! ^= 0xff
  return changed
}

type BodyWriter = {
  /** Undefined when there is nothing to wait for, which spares the common stream a promise per event. */
  write: (text: string | Uint8Array) => Promise<void> | undefined
  /** Sends what has been gathered, whole headers at least. */
  flush: () => Promise<void>
  end: () => Promise<void>
}

function bodyWriter(exchange: Exchange, settings: SandboxConfig): BodyWriter {
  const { response, record } = exchange
  if (settings.chunk_bytes === null && settings.cut_at_byte === null) {
    return {
      write(text) {
        record.bytes += Buffer.byteLength(text)
        return response.write(text) ? undefined : drained(exchange)
      },
      async flush() {
        response.flushHeaders()
      },
      async end() {
        response.end()
      },
    }
  }

  const size = settings.chunk_bytes
  let gathered: Buffer[] = []
  let gatheredBytes = 0

  /** One write on the wire, in a turn of its own, up to the byte at which the connection is to end. */
  async function put(bytes: Buffer): Promise<void> {
    if (exchange.gone || exchange.cut) return
    const room = (settings.cut_at_byte ?? Number.POSITIVE_INFINITY) - record.bytes
    const piece = bytes.subarray(0, room)
    record.bytes += piece.length
    if (piece.length > 0 && !response.write(piece)) await drained(exchange)
    else await breathe(exchange)
    if (bytes.length >= room) cut()
  }

  function cut(): undefined {
    exchange.cut = true
    response.flushHeaders()
    // Not `destroy`: the bytes before the cut have to arrive.
    response.socket?.destroySoon()
  }

  async function flush(): Promise<void> {
    const rest = Buffer.concat(gathered)
    gathered = []
    gatheredBytes = 0
    if (rest.length > 0) await put(rest)
    if (!exchange.cut) response.flushHeaders()
  }

  async function putFull(size: number): Promise<void> {
    let rest = Buffer.concat(gathered)
    while (rest.length >= size && !exchange.gone && !exchange.cut) {
      await put(rest.subarray(0, size))
      rest = rest.subarray(size)
    }
    gathered = [rest]
    gatheredBytes = rest.length
  }

  return {
    write(text) {
      const bytes = typeof text === 'string' ? Buffer.from(text) : Buffer.from(text)
      if (settings.cut_at_byte === 0) return cut()
      if (size === null) return put(bytes)
      gathered.push(bytes)
      gatheredBytes += bytes.length
      return gatheredBytes >= size ? putFull(size) : undefined
    },
    flush,
    async end() {
      await flush()
      if (!exchange.gone && !exchange.cut) response.end()
    },
  }
}
