import { SseEvents } from '@nemo/codec/sse-events'
import { ApiError } from '@nemo/domain/errors'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Gateway } from '../gateway.ts'
import type { CallRecord } from './call-record.ts'
import { parse } from './parse.ts'
import type { Api } from './resolve.ts'

const PREVIOUS = 'previous_response_id'
/** Ours, or those of a provider whose response was passed on. */
const ID = /^[\w-]{1,100}$/

/**
 * The body of a response with the items that it goes on from, where it names one that was kept here; any other body as it came. Throws a 400 when the organization has kept none by that id:
 * another's is as good as none.
 */
export async function recall(gateway: Gateway, key: VirtualKey, { surface }: Api, body: Buffer): Promise<Buffer> {
  if (!key.keepsResponses || surface.name !== 'responses' || !body.includes(PREVIOUS)) return body
  const { [PREVIOUS]: id, input, ...rest } = parse(body)
  if (typeof id !== 'string') return body
  const before = ID.test(id) ? await gateway.findKeptResponse(key.organizationId, id) : null
  if (before === null) {
    throw new ApiError(400, 'previous_response_not_found', `Previous response with id '${id}' not found.`, {
      param: PREVIOUS,
    })
  }
  return Buffer.from(JSON.stringify({ ...rest, input: [...before, ...itemsOf(input)] }))
}

/** Keeps what a response was made of, where the organization allows it and the request doesn't forbid it. What can't be kept is told to the operator; the answer goes out all the same. */
export async function keep(gateway: Gateway, { key, request }: CallRecord, answer: Buffer | string): Promise<void> {
  if (!key.keepsResponses || request?.surface.name !== 'responses' || request.fields.store === false) return
  const response = typeof answer === 'string' ? lastResponse(answer) : parse(answer)
  const { id, output } = response ?? {}
  if (typeof id !== 'string' || !ID.test(id) || !Array.isArray(output)) return
  await gateway.keepResponse(key.organizationId, id, [...itemsOf(request.fields.input), ...output])
}

function itemsOf(input: unknown): unknown[] {
  return Array.isArray(input) ? input : [{ type: 'message', role: 'user', content: input }]
}

/** The response in the last event of a stream. */
function lastResponse(text: string): Record<string, unknown> | null {
  const last = new SseEvents().push(Buffer.from(text)).at(-1)
  const event = last ? parse(Buffer.from(last.data)) : {}
  return typeof event.response === 'object' ? (event.response as Record<string, unknown>) : null
}
