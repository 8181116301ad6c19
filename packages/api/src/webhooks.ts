import { EVENT_TYPES, isEventPattern } from '@nemo/domain/webhook-events'
import { z } from 'zod'
import { route } from './route.ts'
import { deleted, id, idParams, listOf, listQuery, time } from './schema.ts'

const webhook = z.object({
  id,
  object: z.literal('webhook'),
  url: z.string(),
  description: z.string(),
  events: z.array(z.string()),
  enabled: z.boolean(),
  disabled_because: z.enum(['asked', 'failing', 'gone']).nullable(),
  failing_since: time.nullable().meta({ description: 'Since when nothing has been delivered' }),
  previous_secret_until: time.nullable().meta({ description: 'Until when the secret before this one signs too' }),
  created_at: time,
})

const withSecret = webhook.extend({ secret: z.string().meta({ description: 'Shown this once' }) })

const delivery = z.object({
  id,
  object: z.literal('webhook_delivery'),
  webhook_id: id,
  event_id: z.string().meta({ description: 'The header webhook-id: the same at every try' }),
  event_type: z.string(),
  state: z.enum(['pending', 'delivered', 'dead']),
  tries: z.number().int(),
  created_at: time,
  next_try_at: time.nullable(),
  finished_at: time.nullable(),
  last_status: z.number().int().nullable(),
  last_error: z.string().nullable(),
})

const deliveryWithAttempts = delivery.extend({
  body: z.string().meta({ description: 'The very text that is signed and sent' }),
  attempts: z.array(
    z.object({
      at: time,
      status: z.number().int().nullable(),
      error: z.string().nullable(),
      duration_ms: z.number().int(),
      response: z.string().nullable().meta({ description: 'The first kilobyte' }),
    }),
  ),
})

const url = z.url().max(2_000).meta({ description: 'https, at a public address' })
const description = z.string().trim().max(500)
const events = z
  .array(z.string().max(200).refine(isEventPattern, 'is no type of event: GET /api/webhooks/events lists them'))
  .min(1)
  .max(50)

const read = { permission: 'webhook:read' } as const
const update = { permission: 'webhook:update' } as const
const deliveryParams = z.object({ id, delivery_id: id })
const refusedUrl = '400 webhook_url_refused'

export const webhookRoutes = {
  listEventTypes: route({
    method: 'GET',
    path: '/api/webhooks/events',
    access: read,
    summary: 'The types of events that webhooks can be told of',
    response: z.object({
      object: z.literal('list'),
      data: z.array(
        z.object({ type: z.enum(Object.keys(EVENT_TYPES) as (keyof typeof EVENT_TYPES)[]), description: z.string() }),
      ),
    }),
  }),
  listWebhooks: route({
    method: 'GET',
    path: '/api/webhooks',
    access: read,
    summary: 'Endpoints that are told of events, newest first',
    query: listQuery,
    response: listOf(webhook),
  }),
  createWebhook: route({
    method: 'POST',
    path: '/api/webhooks',
    access: { permission: 'webhook:create' },
    summary: 'Have events sent to a URL',
    description:
      'The answer has the secret that deliveries are signed with, as Standard Webhooks has it. It is shown this once.',
    body: z.strictObject({ url, description: description.default(''), events }),
    example: { url: 'https://93.184.215.14/hooks/nemo', description: 'SIEM', events: ['audit.*', 'limit.crossed'] },
    response: withSecret,
    status: 201,
    errors: [refusedUrl, '409 too_many_webhooks'],
  }),
  getWebhook: route({
    method: 'GET',
    path: '/api/webhooks/:id',
    access: read,
    summary: 'One endpoint',
    params: idParams,
    response: webhook,
  }),
  updateWebhook: route({
    method: 'PATCH',
    path: '/api/webhooks/:id',
    access: update,
    summary: 'Change where and what is sent, or switch it off and on',
    description: 'An endpoint that is switched on again gets what has waited for it, up to four days.',
    params: idParams,
    body: z.strictObject({
      url: url.optional(),
      description: description.optional(),
      events: events.optional(),
      enabled: z.boolean().optional(),
    }),
    example: { enabled: false },
    response: webhook,
    errors: [refusedUrl],
  }),
  deleteWebhook: route({
    method: 'DELETE',
    path: '/api/webhooks/:id',
    access: { permission: 'webhook:delete' },
    summary: 'Send nothing more there, and forget what was sent',
    params: idParams,
    response: deleted('webhook'),
  }),
  rotateWebhookSecret: route({
    method: 'POST',
    path: '/api/webhooks/:id/rotate',
    access: update,
    summary: 'Sign with another secret',
    description: 'Deliveries are signed with both for as long as `overlap_hours` says, so that none is missed.',
    params: idParams,
    body: z.strictObject({ overlap_hours: z.number().min(0).max(168).default(24) }),
    example: { overlap_hours: 24 },
    response: withSecret,
  }),
  testWebhook: route({
    method: 'POST',
    path: '/api/webhooks/:id/test',
    access: update,
    summary: 'Send an event of type webhook.test there',
    params: idParams,
    response: z.object({ id: z.string(), object: z.literal('webhook_event'), type: z.string() }),
    status: 202,
    errors: ['409 webhook_disabled'],
    limits: [{ by: 'user', max: 30, seconds: 600 }],
  }),
  listWebhookDeliveries: route({
    method: 'GET',
    path: '/api/webhooks/:id/deliveries',
    access: read,
    summary: 'What was sent there, newest first, for 30 days',
    params: idParams,
    query: listQuery.extend({ state: z.enum(['pending', 'delivered', 'dead']).optional() }),
    response: listOf(delivery),
  }),
  getWebhookDelivery: route({
    method: 'GET',
    path: '/api/webhooks/:id/deliveries/:delivery_id',
    access: read,
    summary: 'One delivery, with its body and every try',
    params: deliveryParams,
    response: deliveryWithAttempts,
  }),
  replayWebhookDelivery: route({
    method: 'POST',
    path: '/api/webhooks/:id/deliveries/:delivery_id/replay',
    access: update,
    summary: 'Send it again',
    description: 'As the same event, with the same webhook-id: a receiver that has had it knows it again.',
    params: deliveryParams,
    response: delivery,
    status: 202,
    errors: ['409 webhook_disabled'],
  }),
}
