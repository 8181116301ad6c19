import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { type Person, signUp } from '@nemo/testing/people'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let database: TestDatabase
let control: RunningControl
let ada: Person

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database)
  ada = await signUp(control, 'ada')
})
afterAll(async () => {
  await control?.close()
  await database?.close()
})

describe('answers', () => {
  test('are refused in OpenAI’s shape, with the id of the request', async () => {
    const answer = await control.call('GET', '/api/me')
    expect(answer.status).toBe(401)
    expect(Object.keys(answer.json.error)).toEqual(['message', 'type', 'param', 'code'])
    expect(answer.json.error).toMatchObject({ code: 'not_signed_in', type: 'authentication_error', param: null })
    expect(answer.headers['x-nemo-request-id']).toMatch(/^req_[0-9a-f]{32}$/)
  })

  test('can’t be framed, sniffed, kept, nor run, the refused ones included', async () => {
    for (const answer of [await ada.call('GET', '/api/me'), await control.call('GET', '/api/nothing')]) {
      expect(answer.headers).toMatchObject({
        'content-security-policy': expect.stringContaining("default-src 'none'; frame-ancestors 'none'"),
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      })
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('name the field that was wrong by its path', async () => {
    const wrong = async (body: object) => (await ada.call('POST', '/api/webhooks', body)).json.error.param
    expect(await wrong({ url: 'https://example.com', events: ['*', 7] })).toBe('events[1]')
    expect(await wrong({ url: 'https://example.com', events: ['*'], extra: 1 })).toBe('extra')
    expect((await ada.call('GET', '/api/teams?limit=1000')).json.error.param).toBe('limit')
    expect((await ada.call('GET', '/api/teams/7')).json.error.param).toBe('id')
  })
})

describe('a body', () => {
  const send = (body: string, type = 'application/json') =>
    ada.call('POST', '/api/teams', undefined, {
      body,
      headers: { 'content-type': type, cookie: ada.cookie, 'x-nemo-csrf': '1' },
    })

  test.each([
    ['larger than a megabyte', `{"name":"${'x'.repeat(1024 * 1024)}"}`, undefined, 413],
    ['that is no JSON', '{"name":', undefined, 400],
    ['that is nothing', '', undefined, 400],
    ['of a form, which a page may send without being asked', 'name=x', 'application/x-www-form-urlencoded', 415],
    ['of plain text, likewise', '{"name":"x"}', 'text/plain', 415],
    ['that reaches for the prototype', '{"__proto__":{"name":"x"}}', undefined, 400],
  ])('%s is refused', async (_, body, type, status) => {
    const answer = await send(body, type)
    expect(answer.status, answer.body).toBe(status)
    expect(answer.json.error.code).toBeTypeOf('string')
  })
})

describe('cookies', () => {
  test('go with https only, and to this host only, where the public URL is https', async () => {
    const secure = await runControl(database, { publicUrl: 'https://nemo.example.com' })
    const body = { email: ada.email, password: ada.password }
    const answer = await secure.call('POST', '/api/auth/sign-in', { body })
    expect(answer.headers['set-cookie']![0]).toMatch(
      /^__Host-nemo_session=[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
    )
    expect(answer.headers['strict-transport-security']).toContain('max-age=31536000')
    const cookie = answer.headers['set-cookie']![0]!.split(';')[0]!
    expect((await secure.call('GET', '/api/me', { cookie })).status).toBe(200)
    // Set by somebody else, from a subdomain or without https.
    expect((await secure.call('GET', '/api/me', { cookie: ada.cookie })).status).toBe(401)
    await secure.close()
  })
})

describe('other origins', () => {
  test('get no CORS unless the operator names them, and then never with a cookie', async () => {
    const open = await runControl(database, { corsOrigins: ['https://tools.example.com'] })
    const from = (origin: string) => open.call('OPTIONS', '/api/teams', { headers: { origin } })
    const named = await from('https://tools.example.com')
    expect(named.status).toBe(204)
    expect(named.headers['access-control-allow-origin']).toBe('https://tools.example.com')
    expect(named.headers['access-control-allow-credentials']).toBeUndefined()
    expect((await from('https://evil.example')).headers['access-control-allow-origin']).toBeUndefined()
    const changed = await open.call('POST', '/api/teams', {
      body: { name: 'x' },
      headers: { cookie: ada.cookie, origin: 'https://tools.example.com', 'sec-fetch-site': 'cross-site' },
    })
    expect(changed.json.error.code).toBe('foreign_origin')
    await open.close()
  })
})

test('one caller can’t take the process: beyond his share he is told when to come again', async () => {
  const small = await runControl(database, { callsPerMinute: 5 })
  const answers = await Promise.all(Array.from({ length: 8 }, () => small.call('GET', '/api/me')))
  expect(answers.map(({ status }) => status).sort()).toEqual([401, 401, 401, 401, 401, 429, 429, 429])
  expect(answers.find(({ status }) => status === 429)!.headers['retry-after']).toBe('12')
  await small.close()
})

test('whoever isn’t believed to be a proxy can’t say that he calls for somebody else', async () => {
  await control.call('POST', '/api/auth/sign-in', {
    body: { email: ada.email, password: ada.password },
    headers: { 'x-forwarded-for': '203.0.113.9' },
  })
  const { data } = (await ada.call('GET', '/api/me/sessions')).json
  expect(data.map(({ address }: { address: string }) => address)).not.toContain('203.0.113.9')
})

describe('the reference', () => {
  test('is there, runs nothing, and loads nothing from elsewhere', async () => {
    const page = await control.call('GET', '/api/docs')
    expect(page.status).toBe(200)
    expect(page.body).toContain('/api/teams/{id}')
    expect(page.body).not.toMatch(/<script|(src|href)="(?![/#])/)
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/)
  })

  test('is of OpenAPI 3.1, and has every route with its body, its answers and its errors', async () => {
    const document = (await control.call('GET', '/api/openapi.json')).json
    expect(document.openapi).toBe('3.1.0')
    const update = document.paths['/api/teams/{id}'].patch
    expect(update).toMatchObject({
      operationId: 'updateTeam',
      'x-nemo-permission': 'team:update',
      parameters: [{ name: 'id', in: 'path', required: true }],
    })
    expect(update.requestBody.content['application/json'].schema).toMatchObject({
      type: 'object',
      required: ['name'],
      additionalProperties: false,
    })
    expect(Object.keys(update.responses)).toEqual(['200', '400', '401', '403', '404', '409', '429'])
    expect(update.responses['200'].content['application/json'].schema.properties.created_at).toMatchObject({
      type: 'string',
    })
    for (const methods of Object.values(document.paths) as Record<string, { parameters: { name: string }[] }>[])
      for (const [method, { parameters }] of Object.entries(methods))
        expect(
          parameters.map(({ name }) => name),
          method,
        ).not.toContain(undefined)
  })
})
