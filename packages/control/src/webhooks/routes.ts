import { pageOf } from '@nemo/api/page'
import type { webhookRoutes } from '@nemo/api/webhooks'
import { ApiError } from '@nemo/domain/errors'
import { uuidv7 } from '@nemo/domain/ids'
import { seal } from '@nemo/domain/vault'
import { EVENT_TYPES } from '@nemo/domain/webhook-events'
import { newWebhookSecret, webhookIdOf } from '@nemo/domain/webhook-signature'
import { emitEvent } from '@nemo/postgres/webhook-events'
import {
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  ENDPOINTS_MAX,
  findWebhookDelivery,
  findWebhookEndpoint,
  listWebhookDeliveries,
  listWebhookEndpoints,
  replayDelivery,
  rotateWebhookSecret,
  updateWebhookEndpoint,
  type WebhookDelivery,
  type WebhookEndpoint,
} from '@nemo/postgres/webhooks'
import type { Control } from '../control.ts'
import type { Handlers } from '../http/call.ts'
import { conflict, notFound } from '../http/errors.ts'
import { OutboundFailure } from '../outbound/outbound.ts'
import { secretContext } from './sender.ts'

export const webhookHandlers: Handlers<typeof webhookRoutes> = {
  listEventTypes: async () => ({
    object: 'list',
    data: (Object.keys(EVENT_TYPES) as (keyof typeof EVENT_TYPES)[]).map((type) => ({
      type,
      description: EVENT_TYPES[type],
    })),
  }),

  listWebhooks: async ({ query: { limit, after }, tenant }) =>
    pageOf((await tenant((tx) => listWebhookEndpoints(tx, { limit: limit + 1, after }))).map(shown), limit),

  createWebhook: async ({ control, actor, body, tenant, audit }) => {
    insistOnUrl(control, body.url)
    const [id, secret] = [uuidv7(), newWebhookSecret()]
    const sealedSecret = seal(control.masterKey, secret, secretContext(id))
    return tenant(async (tx) => {
      const made = await createWebhookEndpoint(tx, { id, organizationId: actor.organizationId, sealedSecret, ...body })
      if (!made)
        throw conflict('too_many_webhooks', `An organization has at most ${ENDPOINTS_MAX} webhooks: delete one first.`)
      await audit(tx, { action: 'webhook.created', subject: subjectOf(made), after: body })
      return { ...shown(made), secret }
    })
  },

  getWebhook: async ({ params, tenant }) => shown(found(await tenant((tx) => findWebhookEndpoint(tx, params.id)))),

  updateWebhook: async ({ control, params, body, tenant, audit }) => {
    if (body.url !== undefined) insistOnUrl(control, body.url)
    return tenant(async (tx) => {
      const before = found(await findWebhookEndpoint(tx, params.id))
      const after = found(await updateWebhookEndpoint(tx, params.id, body))
      const changed = Object.keys(body) as (keyof typeof body)[]
      await audit(tx, {
        action: 'webhook.updated',
        subject: subjectOf(after),
        before: Object.fromEntries(changed.map((name) => [name, before[name]])),
        after: Object.fromEntries(changed.map((name) => [name, after[name]])),
      })
      return shown(after)
    })
  },

  deleteWebhook: async ({ params, tenant, audit }) =>
    tenant(async (tx) => {
      const { url, description, events, ...gone } = found(await deleteWebhookEndpoint(tx, params.id))
      await audit(tx, {
        action: 'webhook.deleted',
        subject: subjectOf({ id: gone.id, url }),
        before: { url, description, events },
      })
      return { id: params.id, object: 'webhook', deleted: true }
    }),

  rotateWebhookSecret: async ({ control, params, body, tenant, audit }) => {
    const secret = newWebhookSecret()
    const sealedSecret = seal(control.masterKey, secret, secretContext(params.id))
    return tenant(async (tx) => {
      const rotated = found(
        await rotateWebhookSecret(tx, params.id, sealedSecret, Math.round(body.overlap_hours * 3_600)),
      )
      await audit(tx, { action: 'webhook.secret_rotated', subject: subjectOf(rotated), after: body })
      return { ...shown(rotated), secret }
    })
  },

  testWebhook: async ({ actor, params, tenant }) =>
    tenant(async (tx) => {
      const endpoint = enabled(found(await findWebhookEndpoint(tx, params.id)))
      const id = await emitEvent(tx, {
        organizationId: actor.organizationId,
        type: 'webhook.test',
        data: { webhook_id: endpoint.id, message: 'It works.' },
        endpointId: endpoint.id,
      })
      return { id: webhookIdOf(id), object: 'webhook_event', type: 'webhook.test' }
    }),

  listWebhookDeliveries: async ({ params, query: { limit, after, state }, tenant }) =>
    tenant(async (tx) => {
      found(await findWebhookEndpoint(tx, params.id))
      const rows = await listWebhookDeliveries(tx, { endpointId: params.id, state }, { limit: limit + 1, after })
      return pageOf(rows.map(shownDelivery), limit)
    }),

  getWebhookDelivery: async ({ params, tenant }) => {
    const delivery = await tenant((tx) => findWebhookDelivery(tx, params.delivery_id))
    if (delivery?.endpoint_id !== params.id) throw notFound('delivery')
    return { ...shownDelivery(delivery), body: delivery.body, attempts: [...delivery.attempts] }
  },

  replayWebhookDelivery: async ({ params, tenant, audit }) =>
    tenant(async (tx) => {
      const delivery = await findWebhookDelivery(tx, params.delivery_id)
      if (delivery?.endpoint_id !== params.id) throw notFound('delivery')
      const endpoint = enabled(found(await findWebhookEndpoint(tx, params.id)))
      await replayDelivery(tx, delivery.id)
      await audit(tx, { action: 'webhook.replayed', subject: subjectOf(endpoint), after: { delivery_id: delivery.id } })
      return shownDelivery((await findWebhookDelivery(tx, delivery.id))!)
    }),
}

function found(endpoint: WebhookEndpoint | null): WebhookEndpoint {
  if (!endpoint) throw notFound('webhook')
  return endpoint
}

function enabled(endpoint: WebhookEndpoint): WebhookEndpoint {
  if (!endpoint.enabled) throw conflict('webhook_disabled', 'The webhook is switched off: switch it on first.')
  return endpoint
}

/** Refuses what would be refused at every delivery, as far as the URL itself says. */
function insistOnUrl({ outbound }: Control, url: string): void {
  try {
    outbound.check(url)
  } catch (error) {
    if (error instanceof OutboundFailure)
      throw new ApiError(400, 'webhook_url_refused', `This URL can't be called: ${error.message}.`, { param: 'url' })
    throw error
  }
}

function subjectOf({ id, url }: Pick<WebhookEndpoint, 'id' | 'url'>) {
  return { type: 'webhook', id, label: url }
}

function shown(endpoint: WebhookEndpoint) {
  return { ...endpoint, object: 'webhook' as const, events: [...endpoint.events] }
}

function shownDelivery({ endpoint_id, event_id, ...delivery }: WebhookDelivery) {
  return { ...delivery, object: 'webhook_delivery' as const, webhook_id: endpoint_id, event_id: webhookIdOf(event_id) }
}
