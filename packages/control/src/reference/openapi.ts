import type { Route } from '@nemo/api/route'
import { z } from 'zod'

type Json = Record<string, unknown>

/** The OpenAPI 3.1 document of the routes. */
export function openApiOf(routes: Readonly<Record<string, Route>>, server: { url: string; version: string }): Json {
  const paths: Record<string, Json> = {}
  for (const [operationId, route] of Object.entries(routes)) {
    const path = route.path.replaceAll(/:([a-z_]+)/g, '{$1}')
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = operationOf(operationId, route)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Nemo Router control plane',
      version: server.version,
      description:
        'Organizations, members, keys, limits and money. Sign in for a session cookie, or send a personal token as `Authorization: Bearer nemo_pat_…`. Amounts are decimal strings of USD, times ISO 8601 in UTC, ids UUIDv7.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: server.url }],
    tags: [...new Set(Object.values(routes).map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A personal token, nemo_pat_…' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: `${server.url.startsWith('https:') ? '__Host-' : ''}nemo_session`,
          description: 'Whoever is no browser sends `x-nemo-csrf: 1`, too, with whatever changes something',
        },
      },
      schemas: { Error: ERROR },
    },
  }
}

const ERROR: Json = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { type: 'string' },
      },
    },
  },
}

function operationOf(operationId: string, route: Route): Json {
  return {
    operationId,
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    tags: [tagOf(route)],
    ...(route.access !== 'public' && { security: [{ token: [] }, { session: [] }] }),
    ...(typeof route.access === 'object' && { 'x-nemo-permission': route.access.permission }),
    ...(route.access === 'operator' && { 'x-nemo-operator': true }),
    parameters: [...parametersOf(route, 'path'), ...parametersOf(route, 'query')],
    ...(route.body !== undefined && { requestBody: { required: true, content: bodyOf(route) } }),
    responses: {
      [String(route.response === 'redirect' ? 302 : (route.status ?? 200))]: answerOf(route),
      ...errorsOf(route),
    },
  }
}

/** The noun that a path begins with: its group in the reference. */
function tagOf(route: Route): string {
  return route.path.split('/')[2]!
}

function parametersOf(route: Route, place: 'path' | 'query'): Json[] {
  const schema = place === 'path' ? route.params : route.query
  if (!schema) return []
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...one }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description !== undefined && { description }),
    schema: one,
  }))
}

function bodyOf({ body, example }: Route): Json {
  if (body === 'raw') return { '*/*': { schema: { type: 'string', format: 'binary' } } }
  return { 'application/json': { schema: schemaOf(body!, 'input'), ...(example !== undefined && { example }) } }
}

function answerOf({ response }: Route): Json {
  if (response === 'redirect')
    return { description: 'Goes on elsewhere', headers: { location: { schema: { type: 'string' } } } }
  if (typeof response === 'string')
    return { description: 'A file', content: { [response]: { schema: { type: 'string' } } } }
  return { description: 'Done', content: { 'application/json': { schema: schemaOf(response, 'output') } } }
}

function errorsOf(route: Route): Record<string, Json> {
  const known: string[] = [
    ...(route.body !== undefined || route.query || route.params ? ['400 invalid_request'] : []),
    ...(route.access === 'public' ? [] : ['401 not_signed_in']),
    ...(route.access === 'public' || route.access === 'session' ? [] : ['403 permission_denied']),
    ...(route.params?.shape.id ? ['404 not_found'] : []),
    ...(route.errors ?? []),
    '429 rate_limit_exceeded',
  ]
  const byStatus: Record<string, string[]> = {}
  for (const one of known) {
    const [status, code] = one.split(' ') as [string, string]
    byStatus[status] = [...new Set([...(byStatus[status] ?? []), code])]
  }
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, codes]) => [
      status,
      {
        description: codes.join(', '),
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    ]),
  )
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json
  return json
}
