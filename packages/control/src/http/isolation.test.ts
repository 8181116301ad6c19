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
/** Tenants, and something of each of them for every place in a path or a body that an id goes to. */
let people: Person[]
let acme: Person
let rival: Person
const belongings = new Map<Person, Readonly<Record<string, string>>>()

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database, {
    trustedProxies: ['127.0.0.1'],
    // Nothing listens there, and nothing is to be asked there.
    stripe: { secretKey: 'sk_test', webhookSecret: 'whsec_test', apiBase: 'http://127.0.0.1:1' },
  })
  // Examples name them, and what isn't there is refused.
  for (const name of ['gpt-5', 'claude-sonnet-4-5'])
    await database.operator.query('insert into model_groups (id, name) values ($1, $2)', [uuidv7(), name])
  people = []
  for (const name of ['acme', 'rival', 'third']) {
    const person = await signUp(control, name)
    belongings.set(person, await settle(person, name))
    people.push(person)
  }
  acme = people[0]!
  rival = people[1]!
})
afterAll(async () => {
  await control?.close()
  await database?.close()
})

/** Gives a tenant one of everything. */
async function settle(person: Person, name: string): Promise<Record<string, string>> {
  const { owner, operator } = database
  const { organizationId } = person
  const member = await join(control, person, `${name}-member`, 'member')
  const created = async (path: string, body: object) => (await person.call('POST', path, body)).json.id as string
  const webhook = await created('/api/webhooks', { url: 'https://example.com/hook', events: ['*'] })
  await person.call('POST', `/api/webhooks/${webhook}/test`)
  // What is sent there would be written down while the test looks.
  await person.call('PATCH', `/api/webhooks/${webhook}`, { enabled: false })
  const delivery = await operator.query('select id from webhook_deliveries where endpoint_id = $1', [webhook])
  const [purchase, invoice, card] = [uuidv7(), uuidv7(), `pm_${name}`]
  await owner.query(
    `insert into purchases (id, organization_id, source, credits_cents, tier_id, fee_basis_points, fee_cents, card_id) values ($1, $2, 'card', 100, '', 0, 0, $3)`,
    [purchase, organizationId, card],
  )
  await owner.query(
    `insert into invoices (id, organization_id, sequence, number, kind, purchase_id, reference, total_cents, document, issued_at)
     select $1, $2, n, 'N-' || n, 'invoice', $3, 'x', 104, '{"lines": []}', now() from (select count(*) + 999 as n from invoices) counted`,
    [invoice, organizationId, purchase],
  )
  await owner.query(
    `insert into saved_cards (id, organization_id, brand, last4, exp_month, exp_year, said_at) values ($1, $2, 'visa', '4242', 1, 2030, now())`,
    [card, organizationId],
  )
  const team = await created('/api/teams', { name: 'Secret' })
  const issuer = `https://${name}.example`
  await owner.query(
    `insert into sso_connections (id, organization_id, issuer, client_id, client_secret) values (gen_random_uuid(), $1, $2, 'x', 'x')`,
    [organizationId, issuer],
  )
  return {
    issuer,
    '/api/keys/:id': await created('/api/keys', { alias: 'secret' }),
    '/api/billing/purchases/:id': purchase,
    '/api/billing/invoices/:id': invoice,
    '/api/billing/cards/:id': card,
    '/api/me/sessions/:id': (await person.call('GET', '/api/me/sessions')).json.data[0].id,
    '/api/me/tokens/:id': await created('/api/me/tokens', { name: 'CI' }),
    '/api/teams/:id': team,
    '/api/members/:id': member.id,
    '/api/invitations/:id': await created('/api/invitations', { email: 'friend@example.com', role: 'member' }),
    '/api/webhooks/:id': webhook,
    '/api/webhooks/:id/deliveries/:delivery_id': delivery.rows[0].id,
    user_id: member.id,
    team_id: team,
  }
}

const routes = (Object.entries(ROUTES) as [string, Route][]).filter(
  ([, { access }]) => access !== 'public' && access !== 'operator',
)

/** The path with each id replaced: by the rival's, or by one that there isn't. */
function pathWith(path: string, ids: (place: string) => string): string {
  return path.replaceAll(/:[a-z_]+/g, (name, at: number) => ids(path.slice(0, at) + name))
}

const of = (person: Person) => (place: string) => {
  const id = belongings.get(person)![place]
  if (!id) throw new Error(`name something of each tenant's for ${place} in this test`)
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
    if (!names(route)) continue
    tried++
    await expectAsNone(acme, rival, operation, route)
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
    for (const hidden of [rival.organizationId, rival.id, rival.email, ...Object.values(belongings.get(rival)!)])
      expect(answer.body, operation).not.toContain(hidden)
  }
})

test('of any two tenants, whatever one does with what is the other’s, it is as if it weren’t there', async () => {
  const before = new Map<Person, unknown[]>()
  for (const person of people) before.set(person, await everythingOf(person.organizationId))
  const someone = fc.constantFrom(...people)
  const deed = fc.constantFrom(...routes.filter(([, route]) => names(route)))
  const deeds = fc.array(fc.tuple(someone, someone, deed), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(deeds, async (several) => {
      // At once, as they would come.
      await Promise.all(
        several
          .filter(([one, other]) => one !== other)
          .map(([one, other, [operation, route]]) => expectAsNone(one, other, operation, route)),
      )
    }),
    { numRuns: 40 },
  )
  for (const person of people) expect(await everythingOf(person.organizationId)).toEqual(before.get(person))
})

/** Those that ask somebody else first, who isn't there, and those that send what there is. */
const ASK_ELSEWHERE = ['updateSso', 'createPurchase', 'addCard', 'removeCard', 'testWebhook', 'replayWebhookDelivery']
/** After the others, in this order. */
const LAST = ['deleteOrganization', 'restoreOrganization', 'transferOrganization']

test('whatever a tenant changes of his own is in his audit log', async () => {
  const someone = await signUp(control, 'diligent')
  belongings.set(someone, await settle(someone, 'diligent'))
  const heir = await join(control, someone, 'diligent-heir', 'member')
  const emptyTeam = (await someone.call('POST', '/api/teams', { name: 'Empty' })).json.id
  const entries = async () => {
    const sql = 'select count(*)::int as n from audit_log where organization_id = $1'
    return (await database.owner.query(sql, [someone.organizationId])).rows[0].n as number
  }
  const changes = routes
    .filter(
      ([name, { method, access }]) => method !== 'GET' && typeof access === 'object' && !ASK_ELSEWHERE.includes(name),
    )
    .sort((one, other) => rankOf(one) - rankOf(other))
  for (const [operation, route] of changes) {
    const ids = (place: string) =>
      operation === 'deleteTeam' ? emptyTeam : operation === 'transferOrganization' ? heir.id : of(someone)(place)
    const body = operation === 'deleteOrganization' ? { slug: 'diligent' } : bodyWith(route.example, ids)
    const before = await entries()
    const answer = await someone.call(route.method, pathWith(route.path, ids), body as object)
    expect(answer.status, `${operation}: ${answer.body}`).toBeLessThan(300)
    expect((await entries()) - before, operation).toBeGreaterThan(0)
  }
  expect(changes.length).toBeGreaterThan(20)
})

/** What takes away comes after what else there is to do. */
function rankOf([operation, { method }]: [string, Route]): number {
  return (method === 'DELETE' || operation.startsWith('revoke') ? 1 : 0) + 2 * (LAST.indexOf(operation) + 1)
}

/** Whether something is named by the call: in its path, or in its body. */
function names(route: Route): boolean {
  return route.path.includes(':') || JSON.stringify(bodyWith(route.example, () => '')) !== JSON.stringify(route.example)
}

async function expectAsNone(one: Person, other: Person, operation: string, route: Route): Promise<void> {
  const call = (ids: (place: string) => string) =>
    one.call(route.method, pathWith(route.path, ids), bodyWith(route.example, ids) as object)
  const [theirs, none] = await Promise.all([call(of(other)), call(noOnes)])
  expect(theirs.status, `${operation}: ${theirs.body}`).toBe(404)
  expect(theirs.body, operation).toBe(none.body)
  expect(Object.keys(theirs.headers), operation).toEqual(Object.keys(none.headers))
}

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
