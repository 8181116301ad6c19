import type { IncomingHttpHeaders } from 'node:http'
import type { JsonObject } from './json.ts'
import type { Refusal } from './refusal.ts'
import type { SandboxConfig } from './settings.ts'

/** One wire format. It turns a request into a reply and does no I/O; faults of the connection are not its business. */
export type Dialect = {
  /** Throws a 401 or a 403. */
  authenticate(arrival: Arrival, apiKey: string | undefined): void
  /** Throws a 404 or a 405. `path` is the one behind the segment that chose the dialect. */
  endpoint(method: string, path: string): Endpoint
  refuse(refusal: Refusal): Reply
  /** The error that an outage of this status looks like, with the settings' code, message and retry-after. */
  fail(status: number, settings: SandboxConfig): Reply
  rateLimitHeaders(settings: SandboxConfig, failed: boolean): Record<string, string>
  /** What every answer of this provider has in its head. */
  headers(requestId: string, elapsedMs: number): Record<string, string>
}

/** A request as it arrived, for what is signed or stands in the URL. */
export type Arrival = {
  method: string
  /** The whole path, as it stands in the request line. */
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  bytes: Buffer
}

export type Endpoint = {
  takesBody: boolean
  answer: (call: Call) => Reply
  /** Where the URL says it and the body doesn't. */
  model?: string
  stream?: boolean
}

export type Call = {
  /** The parsed body; empty where the endpoint takes none. */
  body: JsonObject
  /** The body as it arrived. Ids are derived from it, so that the same request gets the same bytes. */
  bytes: Buffer
  headers: IncomingHttpHeaders
  query: URLSearchParams
  settings: SandboxConfig
  /** Where this sandbox is reached, for links to its images. */
  origin: string
}

export type Reply = {
  status: number
  headers?: Record<string, string>
  /** `sse` if not said; events of an `event-stream` bring their own bytes. */
  framing?: 'sse' | 'event-stream'
  content: { json: string; tokens: number } | { events: Iterable<StreamEvent> }
}

/** One event of a stream, and how many output tokens the client holds more of once it has it. */
export type StreamEvent = {
  /** The name on its `event:` line, where it has one. */
  event?: string
  data: string
  tokens: number
  /** The event as it goes on the wire, in place of a server-sent one. */
  bytes?: Uint8Array
}
