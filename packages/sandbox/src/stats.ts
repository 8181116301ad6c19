import type { IncomingMessage } from 'node:http'
import { isObject, type JsonObject } from './json.ts'

/** What the provider's side saw of one request. */
export type RequestRecord = {
  id: string
  method: string
  path: string
  model: string | null
  stream: boolean
  /** Null until the head of the answer has been sent. */
  status: number | null
  /** Output tokens written to the client so far, or gathered for `chunk_bytes`; reasoning is never written. */
  tokens_sent: number
  /** Body bytes written to the client so far. */
  bytes: number
  open: boolean
  /** The client hung up before its answer ended. */
  aborted: boolean
  /** The names only, in lower case: values may be credentials. */
  header_names: string[]
  /** The body as parsed, long strings shortened; kept for the last 50 requests. */
  body?: JsonObject
}

export type SandboxStats = {
  requests: number
  streams: number
  open: number
  max_open: number
  connections: number
  max_connections: number
  aborted: number
  tokens_sent: number
  /** Oldest first. */
  recent: RequestRecord[]
}

export type Stats = ReturnType<typeof createStats>

const recordsMax = 2000
const bodiesMax = 50

/** Counters since the start or the last reset, and the last 2,000 requests. */
export function createStats() {
  let ring: RequestRecord[] = []
  let oldest = 0
  const bodied: RequestRecord[] = []
  const live = { open: 0, connections: 0 }
  let counted = { requests: 0, streams: 0, max_open: 0, max_connections: 0, aborted: 0, tokens_sent: 0 }

  return {
    begin(request: IncomingMessage, id: string, path: string): RequestRecord {
      const record: RequestRecord = {
        id,
        method: request.method ?? '',
        path,
        model: null,
        stream: false,
        status: null,
        tokens_sent: 0,
        bytes: 0,
        open: true,
        aborted: false,
        header_names: Object.keys(request.headers),
      }
      counted.requests++
      counted.max_open = Math.max(counted.max_open, ++live.open)
      if (ring.length < recordsMax) {
        ring.push(record)
      } else {
        ring[oldest] = record
        oldest = (oldest + 1) % recordsMax
      }
      return record
    },

    /** `url` is what the URL says where the body doesn't. */
    received(
      record: RequestRecord,
      body: JsonObject,
      bytes: number,
      url: { model?: string; stream?: boolean } = {},
    ): void {
      // Small bodies are shortened when somebody looks; big ones at once, so that fifty of them fit in memory.
      record.body = bytes > 65_536 ? (shortened(body) as JsonObject) : body
      if (bodied.push(record) > bodiesMax) delete bodied.shift()?.body
      record.model = url.model ?? (typeof body.model === 'string' ? body.model : null)
      record.stream = url.stream ?? body.stream === true
      if (record.stream) counted.streams++
    },

    end(record: RequestRecord, aborted: boolean): void {
      record.open = false
      record.aborted = aborted
      live.open--
      if (aborted) counted.aborted++
      counted.tokens_sent += record.tokens_sent
    },

    connected(): void {
      counted.max_connections = Math.max(counted.max_connections, ++live.connections)
    },

    disconnected(): void {
      live.connections--
    },

    /** The counters, and copies of the last so many records. */
    read(last = recordsMax): SandboxStats {
      const inOrder = [...ring.slice(oldest), ...ring.slice(0, oldest)]
      const recent = last === 0 ? [] : inOrder.slice(-last).map(copied)
      const unfinished = inOrder.reduce((sum, record) => sum + (record.open ? record.tokens_sent : 0), 0)
      return { ...counted, ...live, tokens_sent: counted.tokens_sent + unfinished, recent }
    },

    /** Forgets what was counted; what is still open stays open. */
    clear(): void {
      ring = []
      oldest = 0
      counted = {
        requests: 0,
        streams: 0,
        max_open: live.open,
        max_connections: live.connections,
        aborted: 0,
        tokens_sent: 0,
      }
    },
  }
}

function copied(record: RequestRecord): RequestRecord {
  const { body, ...rest } = record
  return { ...rest, header_names: [...rest.header_names], ...(body && { body: shortened(body) as JsonObject }) }
}

const textMax = 2000

function shortened(value: unknown): unknown {
  if (typeof value === 'string' && value.length > textMax) {
    return `${value.slice(0, textMax)}… (${value.length} characters)`
  }
  if (Array.isArray(value)) return value.map(shortened)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shortened(inner)]))
}
