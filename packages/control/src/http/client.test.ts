import { makeClient, RefusedError } from '@nemo/api/client'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { signUp } from '@nemo/testing/people'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { afterAll, beforeAll, expect, test } from 'vitest'

let database: TestDatabase
let control: RunningControl

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database)
})
afterAll(async () => {
  await control?.close()
  await database?.close()
})

test('the client has a function for every route, typed by it, and throws what was refused', async () => {
  const person = await signUp(control, 'programmer')
  const { token } = (await person.call('POST', '/api/me/tokens', { name: 'CI' })).json
  const client = makeClient({ url: control.url, token })
  expect((await client.getMe()).email).toBe(person.email)
  const team = await client.createTeam({ body: { name: 'Research' } })
  expect((await client.getTeam({ params: { id: team.id } })).name).toBe('Research')
  const page = await client.listTeams({ query: { limit: 1 } })
  expect(page).toMatchObject({ object: 'list', has_more: true, first_id: page.last_id })
  expect((await client.listTeams({ query: { limit: 1, after: page.last_id! } })).data).toMatchObject([{ id: team.id }])
  expect(await (await client.exportOrganization()).json()).toMatchObject({ organization_id: person.organizationId })

  const refused = await client.createTeam({ body: { name: 'Research' } }).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(RefusedError)
  expect(refused).toMatchObject({ status: 409, code: 'name_taken', param: 'name' })
  expect((refused as RefusedError).requestId).toMatch(/^req_/)
})

test('a page of an origin that the operator named may use it with a token: it sends no header that CORS doesn’t let through', async () => {
  const person = await signUp(control, 'elsewhere')
  const { token } = (await person.call('POST', '/api/me/tokens', { name: 'Tools' })).json
  const origin = 'https://tools.example.com'
  const open = await runControl(database, { corsOrigins: [origin] })
  const preflight = await open.call('OPTIONS', '/api/teams', { headers: { origin } })
  const allowed = String(preflight.headers['access-control-allow-headers']).split(', ')
  const sent: string[] = []
  const client = makeClient({
    url: open.url,
    token,
    fetch(input, init) {
      const headers = new Headers(init?.headers)
      sent.push(...headers.keys())
      headers.set('origin', origin)
      headers.set('sec-fetch-site', 'cross-site')
      return fetch(input, { ...init, headers })
    },
  })
  expect((await client.createTeam({ body: { name: 'Tools' } })).name).toBe('Tools')
  expect(sent.filter((name) => !allowed.includes(name))).toEqual([])
  await open.close()
})
