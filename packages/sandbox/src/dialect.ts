import type { IncomingHttpHeaders } from 'node:http'
import type { JsonObject } from './json.ts'
import type { Refusal } from './refusal.ts'
import type { SandboxConfig } from './settings.ts'

/** One wire format. It turns a request into a reply and does no I/O; faults of the connection are not its business. */
export type Dialect = {
  /** Throws a 401. */
  authenticate(headers: IncomingHttpHeaders, apiKey: string | undefined): void
  /** Throws a 404 or a 405. */
  endpoint(method: string, path: string): Endpoint
  refuse(refusal: Refusal): Reply
  /** The error that an outage of this status looks like, with the settings' code, message and retry-after. */
  fail(status: number, settings: SandboxConfig): Reply
  rateLimitHeaders(settings: SandboxConfig, failed: boolean): Record<string, string>
}

export type Endpoint = { takesBody: boolean; answer: (call: Call) => Reply }

export type Call = {
  /** The parsed body; empty where the endpoint takes none. */
  body: JsonObject
  /** The body as it arrived. Ids are derived from it, so that the same request gets the same bytes. */
  bytes: Buffer
  settings: SandboxConfig
  /** Where this sandbox is reached, for links to its images. */
  origin: string
}

export type Reply = {
  status: number
  headers?: Record<string, string>
  content: { json: string; tokens: number } | { events: Iterable<StreamEvent> }
}

/** One server-sent event, and how many output tokens the client holds more of once it has it. */
export type StreamEvent = { data: string; tokens: number }
