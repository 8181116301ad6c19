import { uuidv7 } from '@nemo/domain/ids'
import { patternsOf } from '@nemo/domain/webhook-events'
import type { Transaction } from './tenancy.ts'

export interface NewEvent {
  readonly organizationId: string
  /** One of those that `@nemo/domain/webhook-events` offers. */
  readonly type: string
  /** What the receiver gets: plain JSON, snake_case, money as decimal strings of USD, and no secret. */
  readonly data: object
  /** When it happened; now, unless told. */
  readonly at?: Date
  /** One endpoint that gets it, whatever it asked for; else every one that asked for its type. */
  readonly endpointId?: string
}

/**
 * Puts an event into the outbox for every endpoint of the organization that wants its type, in the transaction of what it tells of: it is sent if that
 * commits, and never otherwise. As nemo_app of the organization, or as the operator. Answers with its id.
 */
export async function emitEvent(tx: Transaction, event: NewEvent): Promise<string> {
  const id = uuidv7()
  await tx.query(
    `with wanted as (
       select id from webhook_endpoints where organization_id = $2 and enabled and ($6::uuid is null and events && $5::text[] or id = $6)),
     event as (
       insert into webhook_events (id, organization_id, type, body)
       select $1, $2, $3, $4 where exists (select from wanted) returning id)
     insert into webhook_deliveries (id, organization_id, endpoint_id, event_id)
     select gen_random_uuid(), $2, w.id, e.id from wanted w, event e`,
    [id, event.organizationId, event.type, bodyOf(event), patternsOf(event.type), event.endpointId ?? null],
  )
  return id
}

/** The text that is signed and sent, each time the same. The form is Standard Webhooks': type, timestamp, data. */
function bodyOf({ type, at = new Date(), organizationId, data }: NewEvent): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), organization_id: organizationId, data })
}
