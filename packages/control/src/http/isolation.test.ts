import type { Route } from '@nemo/api/route'
import { ROUTES } from '@nemo/api/routes'
import { uuidv7 } from '@nemo/domain/ids'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { join, type Person, signUp } from '@nemo/testing/people'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'

let database: TestDatabase
let control: RunningControl
let acme: Person
let rival: Person
/** Something of the rival's for each place in a path or a body that an id goes to. */
let ofRival: Record<string, string>

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database, {
    trustedProxies: ['127.0.0.1'],
    // Nothing listens there, and nothing is to be asked there.
    stripe: { secretKey: 'sk_test', webhookSecret: 'whsec_test', apiBase: 'http://127.0.0.1:1' },
  })
  acme = await signUp(control, 'acme')
  rival = await signUp(control, 'rival')
  const member = await join(control, rival, 'rival-member', 'member')
  const created = async (path: string, body: object) => (await rival.call('POST', path, body)).json.id as string
  const webhook = await created('/api/webhooks', { url: 'https://example.com/hook', events: ['*'] })
  await rival.call('POST', `/api/webhooks/${webhook}/test`)
  // What is sent there would be written down while the test looks.
  await rival.call('PATCH', `/api/webhooks/${webhook}`, { enabled: false })
  const delivery = await database.operator.query('select id from webhook_deliveries where endpoint_id = $1', [webhook])
  const [purchase, invoice] = [uuidv7(), uuidv7()]
  await database.owner.query(
    `insert into purchases (id, organization_id, source, credits_cents, tier_id, fee_basis_points, fee_cents, card_id) values ($1, $2, 'card', 100, '', 0, 0, 'pm_rival')`,
    [purchase, rival.organizationId],
  )
  await database.owner.query(
    `insert into invoices (id, organization_id, sequence, number, kind, purchase_id, reference, total_cents, document, issued_at)
     values ($1, $2, 999, 'N-999', 'invoice', $3, 'x', 104, '{}', now())`,
    [invoice, rival.organizationId, purchase],
  )
  await database.owner.query(
    `insert into saved_cards (id, organization_id, brand, last4, exp_month, exp_year, said_at) values ('pm_rival', $1, 'visa', '4242', 1, 2030, now())`,
    [rival.organizationId],
  )
  const team = await created('/api/teams', { name: 'Secret' })
  await database.owner.query(
    `insert into sso_connections (id, organization_id, issuer, client_id, client_secret) values (gen_random_uuid(), $1, 'https://rival.example', 'x', 'x')`,
    [rival.organizationId],
  )
  ofRival = {
    issuer: 'https://rival.example',
    '/api/keys/:id': await created('/api/keys', { alias: 'secret' }),
    '/api/billing/purchases/:id': purchase,
    '/api/billing/invoices/:id': invoice,
    '/api/billing/cards/:id': 'pm_rival',
    '/api/me/sessions/:id': (await rival.call('GET', '/api/me/sessions')).json.data[0].id,
    '/api/me/tokens/:id': await created('/api/me/tokens', { name: 'CI' }),
    '/api/teams/:id': team,
    '/api/members/:id': member.id,
    '/api/invitations/:id': await created('/api/invitations', { email: 'friend@example.com', role: 'member' }),
    '/api/webhooks/:id': webhook,
    '/api/webhooks/:id/deliveries/:delivery_id': delivery.rows[0].id,
    user_id: member.id,
    team_id: team,
  }
})
afterAll(async () => {
  await control?.close()
  await database?.close()
})

const routes = (Object.entries(ROUTES) as [string, Route][]).filter(
  ([, { access }]) => access !== 'public' && access !== 'operator',
)

/** The path with each id replaced: by the rival's, or by one that there isn't. */
function pathWith(path: string, ids: (place: string) => string): string {
  return path.replaceAll(/:[a-z_]+/g, (name, at: number) => ids(path.slice(0, at) + name))
}

const rivals = (place: string) => {
  const id = ofRival[place]
  if (!id) throw new Error(`name something of the rival's for ${place} in this test`)
  return id
}

const noOnes = (place: string) => (place.includes('/cards/') ? 'pm_nobody' : uuidv7())

const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/

/** The example with every id in it replaced. */
function bodyWith(value: unknown, ids: (place: string) => string, field = ''): unknown {
  if (typeof value === 'string') return UUID.test(value) ? ids(field) : value
  if (Array.isArray(value)) return value.map((one) => bodyWith(one, ids, field))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, bodyWith(one, ids, name)]))
}

test('what is another tenant’s is answered as what there isn’t, on every route, and stays as it was', async () => {
  const before = await everythingOf(rival.organizationId)
  let tried = 0
  for (const [operation, route] of routes) {
    const body = bodyWith(route.example, rivals)
    if (!route.path.includes(':') && JSON.stringify(body) === JSON.stringify(route.example)) continue
    tried++
    const [theirs, none] = await Promise.all([
      acme.call(route.method, pathWith(route.path, rivals), body as object),
      acme.call(route.method, pathWith(route.path, noOnes), bodyWith(route.example, noOnes) as object),
    ])
    expect(theirs.status, `${operation}: ${theirs.body}`).toBe(404)
    expect(theirs.body, operation).toBe(none.body)
    expect(Object.keys(theirs.headers), operation).toEqual(Object.keys(none.headers))
  }
  expect(tried).toBeGreaterThan(15)
  expect(await everythingOf(rival.organizationId)).toEqual(before)
})

test('no answer of any list shows anything of another tenant', async () => {
  for (const [operation, route] of routes) {
    if (route.method !== 'GET' || route.path.includes(':')) continue
    const answer = await acme.call('GET', route.path)
    // Some want a query, and some are of what acme hasn't.
    expect([200, 400, 404], operation).toContain(answer.status)
    for (const hidden of [rival.organizationId, rival.id, rival.email, ...Object.values(ofRival)])
      expect(answer.body, operation).not.toContain(hidden)
  }
})

test('of any two tenants, neither finds, renames nor deletes the other’s', async () => {
  const people = [acme, rival, await signUp(control, 'third'), await signUp(control, 'fourth')]
  const teams = new Map<Person, string>()
  for (const person of people) teams.set(person, (await person.call('POST', '/api/teams', { name: 'Mine' })).json.id)
  const someone = fc.constantFrom(...people)
  const deed = fc.constantFrom<['GET' | 'PATCH' | 'DELETE', object?]>(
    ['GET'],
    ['PATCH', { name: 'Stolen' }],
    ['DELETE'],
  )
  await fc.assert(
    fc.asyncProperty(someone, someone, deed, async (one, other, [method, body]) => {
      fc.pre(one !== other)
      expect((await one.call(method, `/api/teams/${teams.get(other)}`, body)).status).toBe(404)
      expect((await other.call('GET', `/api/teams/${teams.get(other)}`)).json.name).toBe('Mine')
    }),
    { numRuns: 60 },
  )
})

/** How many rows there are in each of its tables, and what is in them. */
async function everythingOf(organizationId: string): Promise<unknown[]> {
  const { rows: tables } = await database.owner.query(`
    select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
     where c.relnamespace = 'nemo'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1`)
  const found: unknown[] = []
  for (const { name } of tables) {
    // When a token or an endpoint was last used is nobody's doing here.
    const { rows } = await database.owner.query(
      `select count(*)::int as n, md5(string_agg(t::text, '' order by t::text)) as sum from ${name} t where organization_id = $1`,
      [organizationId],
    )
    found.push([name, rows[0]])
  }
  return found
}
