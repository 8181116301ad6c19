import { randomBytes } from 'node:crypto'
import type { Route } from '@nemo/api/route'
import { ROUTES } from '@nemo/api/routes'
import { uuidv7 } from '@nemo/domain/ids'
import { may, ROLES, type Role } from '@nemo/domain/roles'
import { createOrganization, type Organization } from '@nemo/postgres/organizations'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { hashSecret } from '../identity/secrets.ts'

const routes = Object.entries(ROUTES) as [string, Route][]

/** Everybody who may call, by what he is. */
const CALLERS = [...ROLES, 'nobody', 'of no organization', 'operator'] as const
type Caller = (typeof CALLERS)[number]

let database: TestDatabase
let control: RunningControl
let acme: Organization
const users = Object.fromEntries(CALLERS.map((caller) => [caller, uuidv7()])) as Record<Caller, string>

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database, { trustedProxies: ['127.0.0.1'] })
  acme = await createOrganization(database.operator, 'acme', 'acme')
  for (const [caller, id] of Object.entries(users)) {
    await database.operator.query('insert into users (id, email, name, is_operator) values ($1, $2, $3, $4)', [
      id,
      `${caller.replaceAll(' ', '-')}@example.com`,
      caller,
      caller === 'operator',
    ])
  }
  // Whoever leaves doesn't leave it without an owner.
  const stayer = uuidv7()
  await database.operator.query(`insert into users (id, email, name) values ($1, 'stayer@example.com', 'Stayer')`, [
    stayer,
  ])
  await database.operator.query(`insert into members (organization_id, user_id, role) values ($1, $2, 'owner')`, [
    acme.id,
    stayer,
  ])
})
afterAll(async () => {
  await control?.close()
  await database?.close()
})

/** A session of the caller, who is what he was again, whatever a call made of him. */
async function sessionOf(caller: Caller): Promise<string | undefined> {
  if (caller === 'nobody') return undefined
  const { owner } = database
  await owner.query('delete from members where user_id = $1', [users[caller]])
  if (ROLES.includes(caller as Role)) {
    await owner.query('insert into members (organization_id, user_id, role) values ($1, $2, $3)', [
      acme.id,
      users[caller],
      caller,
    ])
  }
  await owner.query('update organizations set delete_after = null where id = $1', [acme.id])
  const token = randomBytes(32).toString('base64url')
  await owner.query(
    `insert into sessions (id, user_id, hash, address, expires_at) values ($1, $2, $3, '', now() + interval '1 hour')`,
    [uuidv7(), users[caller], hashSecret(token)],
  )
  return `nemo_session=${token}`
}

function refusalOf(route: Route, caller: Caller): string | null {
  const { access } = route
  if (access === 'public') return null
  if (caller === 'nobody') return '401 not_signed_in'
  if (access === 'session') return null
  if (access === 'operator') return caller === 'operator' ? null : '403 permission_denied'
  if (!ROLES.includes(caller as Role)) return '403 no_organization'
  return may(caller as Role, access.permission) ? null : '403 permission_denied'
}

const GATES = ['not_signed_in', 'permission_denied', 'no_organization', 'foreign_origin', 'session_required']

describe('every route', () => {
  test('lets in whom its access names, and nobody else', async () => {
    let calls = 0
    for (const [operation, route] of routes) {
      for (const caller of CALLERS) {
        const cookie = await sessionOf(caller)
        const path = route.path.replaceAll(/:[a-z_]+/g, () => uuidv7())
        calls++
        const answer = await control.call(route.method, path, {
          ...(cookie && { cookie }),
          headers: { 'x-forwarded-for': `10.1.${calls >> 8}.${calls & 255}` },
          ...(route.body && route.body !== 'raw' && { body: { 'not-a-field': 1 } }),
        })
        const title = `${operation} as ${caller}: ${answer.status} ${answer.body.slice(0, 300)}`
        const refusal = refusalOf(route, caller)
        const code = `${answer.status} ${answer.json?.error?.code}`
        if (refusal) expect(code, title).toBe(refusal)
        else {
          // Who belongs to none is told so by some that are for whoever is signed in.
          const isTold = route.access === 'session' && !ROLES.includes(caller as Role) && code === '403 no_organization'
          if (!isTold) expect(GATES, title).not.toContain(answer.json?.error?.code)
          expect(answer.status, title).not.toBe(500)
        }
      }
    }
    expect(calls).toBeGreaterThan(300)
    expect(control.problems).toEqual([])
  })

  test('that changes something refuses a page of another origin, whoever is signed in', async () => {
    const cookie = await sessionOf('owner')
    for (const [operation, { method, path, body }] of routes) {
      if (method === 'GET' || body === 'raw') continue
      for (const headers of [
        { cookie: cookie!, 'sec-fetch-site': 'cross-site' },
        { cookie: cookie!, 'sec-fetch-site': 'same-site' },
        { cookie: cookie!, origin: 'https://evil.example' },
        { cookie: cookie!, origin: 'null' },
        { cookie: cookie! },
      ]) {
        const answer = await control.call(method, path.replaceAll(/:[a-z_]+/g, uuidv7()), { headers })
        expect(answer.json.error.code, operation).toBe('foreign_origin')
      }
    }
  })

  test('is described whole: its path’s parameters, a body that its own schema takes, a permission that some role has', () => {
    const seen = new Set<string>()
    for (const [operation, route] of routes) {
      const address = `${route.method} ${route.path.replaceAll(/:[a-z_]+/g, ':')}`
      expect(seen, operation).not.toContain(address)
      seen.add(address)
      const named = [...route.path.matchAll(/:([a-z_]+)/g)].map((match) => match[1])
      expect(Object.keys(route.params?.shape ?? {}).sort(), operation).toEqual(named.sort())
      if (route.body instanceof z.ZodType) {
        expect(route.method, operation).not.toBe('GET')
        expect(route.body.safeParse(route.example).error, `${operation}: its example`).toBeUndefined()
      }
      if (typeof route.access === 'object') expect(may('owner', route.access.permission), operation).toBe(true)
      for (const { by } of route.limits ?? [])
        if (typeof by === 'object') expect(route.example, operation).toHaveProperty(by.field)
    }
  })
})
