import { Readable } from 'node:stream'
import type { File, Redirect, Route, RouteLimit } from '@nemo/api/route'
import { ROUTES } from '@nemo/api/routes'
import { ApiError } from '@nemo/domain/errors'
import { requestIdOf, uuidv7 } from '@nemo/domain/ids'
import { appendAudit } from '@nemo/postgres/audit'
import { countAgainst } from '@nemo/postgres/rate-limits'
import { withOrganization } from '@nemo/postgres/tenancy'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Control } from '../control.ts'
import { HANDLERS } from '../handlers.ts'
import { addReference } from '../reference/reference.ts'
import { identify, requireAccess } from './authenticate.ts'
import type { Actor, Call } from './call.ts'
import { CallRate, networkOf } from './call-rate.ts'
import { sessionCookieOf } from './cookies.ts'
import { BODY_BYTES_MAX, invalid, refusalOf, tooMany } from './errors.ts'
import { setCorsHeaders, setSecurityHeaders } from './headers.ts'
import { refuseForeignPages } from './same-origin.ts'

declare module 'fastify' {
  interface FastifyRequest {
    actor: Actor | null
  }
}

type AnyHandler = (call: Call<Route>) => Promise<unknown>

/** The control plane over HTTP, made from the route table. */
export async function makeApp(control: Control): Promise<FastifyInstance> {
  const { settings } = control
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    trustProxy: settings.trustedProxies.length > 0 ? [...settings.trustedProxies] : false,
    genReqId: () => requestIdOf(uuidv7()),
    routerOptions: { maxParamLength: 200 },
  })
  // A page of another origin may send plain text without being asked first: only JSON is read.
  app.removeContentTypeParser('text/plain')
  const rate = new CallRate(settings.callsPerMinute)
  app.decorateRequest('actor', null)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'x-request-id': request.id, 'x-nemo-request-id': request.id })
    setSecurityHeaders(control, reply)
    setCorsHeaders(control, request, reply)
    passOrRefuse(rate, `address ${networkOf(request.ip)}`)
    if (request.method === 'OPTIONS' && settings.corsOrigins.length > 0) return reply.code(204).send()
  })
  app.setErrorHandler((cause, request, reply) => sendError(control, request, reply, cause))
  app.setNotFoundHandler((request, reply) =>
    sendError(control, request, reply, nothingAt(request.method, request.url.split('?')[0]!)),
  )

  const all: [string, Route][] = Object.entries(ROUTES)
  for (const [operation, route] of all) if (route.body !== 'raw') addRoute(app, control, rate, operation, route)
  await app.register(async (raw) => {
    raw.removeAllContentTypeParsers()
    raw.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
    for (const [operation, route] of all) if (route.body === 'raw') addRoute(raw, control, rate, operation, route)
  })
  addReference(app, control)
  await app.ready()
  return app
}

function addRoute(app: FastifyInstance, control: Control, rate: CallRate, operation: string, route: Route): void {
  const handle = (HANDLERS as unknown as Record<string, AnyHandler>)[operation]!
  app.route({
    method: route.method,
    url: route.path,
    // Before the body is read: who may not call needn't be listened to.
    onRequest: async (request) => {
      const hasCookie = sessionCookieOf(control, request) !== null
      refuseForeignPages(control, request, hasCookie)
      if (route.access === 'public') return
      request.actor = await identify(control, request)
      requireAccess(route.access, request.method, request.actor)
      passOrRefuse(rate, `user ${request.actor!.userId}`)
    },
    handler: async (request, reply) => {
      const call = callOf(control, route, request, reply)
      await countCall(control, operation, route, call)
      const result = await handle(call)
      return answer(route, reply, result)
    },
  })
}

function passOrRefuse(rate: CallRate, caller: string): void {
  const seconds = rate.count(caller, Date.now())
  if (seconds > 0) throw tooMany(seconds)
}

function callOf(control: Control, route: Route, request: FastifyRequest, reply: FastifyReply): Call<Route> {
  const { actor } = request
  return {
    control,
    actor,
    params: parse(route.params, request.params, 'path'),
    query: parse(route.query, request.query, 'query'),
    body: route.body === 'raw' ? (request.body ?? Buffer.alloc(0)) : parse(route.body, request.body ?? {}, 'body'),
    request,
    reply,
    ip: request.ip,
    tenant: (act: Parameters<typeof withOrganization>[2]) => withOrganization(control.app, actor!.organizationId!, act),
    audit: async (tx, { organizationId = actor?.organizationId ?? null, ...happening }) => {
      await appendAudit(tx, {
        organizationId,
        actor: actor
          ? {
              kind: route.access === 'operator' ? 'operator' : actor.via === 'token' ? 'token' : 'user',
              id: actor.userId,
              label: actor.email,
            }
          : { kind: 'system', id: null },
        address: request.ip,
        ...happening,
      })
    },
  } as Call<Route>
}

function parse(schema: z.ZodType | undefined, value: unknown, fallback: string): unknown {
  if (!schema) return undefined
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw invalid(parsed.error, fallback)
  return parsed.data
}

/** The limits of the route itself, over all processes. */
async function countCall(control: Control, operation: string, route: Route, call: Call<Route>): Promise<void> {
  if (!route.limits) return
  const seconds = await countAgainst(
    control.identity,
    route.limits.map(({ by, max, seconds }, i) => ({
      bucket: `${operation} ${i} ${subjectOf(by, call)}`,
      max,
      seconds,
    })),
  )
  if (seconds !== null) throw tooMany(seconds)
}

function subjectOf(by: RouteLimit['by'], { actor, body, ip }: Call<Route>): string {
  if (by === 'address') return networkOf(ip)
  if (by === 'user') return actor!.userId
  const value = String((body as unknown as Record<string, unknown>)[by.field]).toLowerCase()
  return by.fromEach ? `${value} ${networkOf(ip)}` : value
}

function answer(route: Route, reply: FastifyReply, result: unknown): FastifyReply {
  if (route.response === 'redirect') return reply.redirect((result as Redirect).location, 302)
  reply.code(route.status ?? 200)
  if (typeof route.response === 'string') {
    const { content, filename } = result as File
    if (filename !== undefined)
      reply.header('content-disposition', `attachment; filename="${filename.replaceAll(/[^\w.-]/g, '_')}"`)
    reply.type(route.response.startsWith('text/') ? `${route.response}; charset=utf-8` : route.response)
    return reply.send(typeof content === 'string' || content instanceof Uint8Array ? content : Readable.from(content))
  }
  // The schema leaves out what it doesn't name: a column too many in a query never gets out.
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(route.response.parse(result)))
}

function sendError(control: Control, request: FastifyRequest, reply: FastifyReply, cause: unknown): FastifyReply {
  const error = refusalOf(cause)
  if (error.status >= 500)
    control.log.error(
      { request_id: request.id, route: request.routeOptions.url, err: cause },
      'a call of the control plane failed',
    )
  return reply
    .code(error.status)
    .headers({ ...error.headers })
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(error.body))
}

function nothingAt(method: string, path: string): ApiError {
  return new ApiError(404, 'not_found', `There is nothing at ${method} ${path.slice(0, 200)}.`)
}
