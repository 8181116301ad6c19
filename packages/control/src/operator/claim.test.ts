import { hasOperator, saveOperatorClaim } from '@nemo/postgres/operators'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { cookieOf, PASSWORD, signUp } from '@nemo/testing/people'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { operatorWithSession } from '@nemo/testing/signed-in'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newSecret } from '../identity/secrets.ts'

let database: TestDatabase
let control: RunningControl

beforeEach(async () => {
  database = await freshDatabase()
  control = await runControl(database, { trustedProxies: ['127.0.0.1'] })
})
afterEach(async () => {
  await control?.close()
  await database?.close()
})

/** As a start does it. */
async function tokenOfStart(hours = 24): Promise<string> {
  const { secret, hash } = newSecret()
  await saveOperatorClaim(database.operator, hash, hours)
  return secret
}

let callers = 0
/** From an address of his own, so that the limit per address doesn't bind. */
function claim(token: string, email = 'ops@example.com') {
  callers++
  return control.call('POST', '/api/operator/claim', {
    body: { token, email, password: PASSWORD, name: 'Ops' },
    headers: { 'x-forwarded-for': `10.2.${callers >> 8}.${callers & 255}` },
  })
}

const operators = async () => (await database.owner.query('select email from users where is_operator')).rows

test('the token makes the operator’s account, signs in, and works once', async () => {
  const token = await tokenOfStart()
  const claimed = await claim(token)
  expect(claimed.status, claimed.body).toBe(201)
  expect(claimed.json).toMatchObject({ email: 'ops@example.com', is_operator: true, organization: null })
  const me = await control.call('GET', '/api/operator/operators', { cookie: cookieOf(claimed) })
  expect(me.json.data).toMatchObject([{ email: 'ops@example.com', totp_enabled: false }])

  const again = await claim(token, 'second@example.com')
  expect([again.status, again.json.error.code]).toEqual([400, 'claim_invalid'])
  expect(await operators()).toHaveLength(1)
  const { rows } = await database.owner.query('select json_agg(a)::text as log from audit_log a')
  expect(rows[0].log).toContain('operator.claimed')
  expect(rows[0].log).not.toContain(token)
  expect(again.body).not.toContain(token)
})

test('a wrong token, one that ran out, and a right one once there is an operator are refused alike', async () => {
  const [old, right] = [await tokenOfStart(), await tokenOfStart()]
  await database.owner.query(
    `update operator_claims set expires_at = now() - interval '1 second' where hash = sha256($1)`,
    [Buffer.from(old)],
  )
  const answers = [await claim(newSecret().secret), await claim(old)]
  await operatorWithSession(database)
  answers.push(await claim(right))
  expect(new Set(answers.map(({ status, body }) => `${status} ${body}`)).size).toBe(1)
  expect(answers[0]!.json.error).toMatchObject({ code: 'claim_invalid', param: 'token' })
  expect((await database.owner.query('select from users')).rowCount).toBe(1)
})

test('of twenty who claim at once, with several tokens, one becomes the operator', async () => {
  const tokens = [await tokenOfStart(), await tokenOfStart(), await tokenOfStart()]
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => claim(tokens[i % 3]!, `ops${i}@example.com`)))
  expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(19).fill(400)])
  expect(await operators()).toHaveLength(1)
  expect((await database.owner.query('select from users')).rowCount).toBe(1)
})

test('who has an account claims with it, and stays what he is; an address that is taken spends no token', async () => {
  const token = await tokenOfStart()
  const ada = await signUp(control, 'ada')
  const taken = await claim(token, ada.email)
  expect([taken.status, taken.json.error.code]).toEqual([409, 'email_taken'])
  expect(await hasOperator(database.operator)).toBe(false)
  expect((await ada.call('POST', '/api/operator/claim-for-me', { token: 'A'.repeat(43) })).json.error.code).toBe(
    'claim_invalid',
  )
  const claimed = await ada.call('POST', '/api/operator/claim-for-me', { token })
  expect(claimed.json).toMatchObject({ email: ada.email, is_operator: true, organization: { role: 'owner' } })
  expect((await ada.call('GET', '/api/operator/organizations')).json.data).toHaveLength(1)
})

test('an operator makes others, and the last one stays, also when two let each other go at once', async () => {
  const first = await operatorWithSession(database)
  const ada = await signUp(control, 'ada')
  const as = (cookie: string) => (method: string, path: string, body?: object) =>
    control.call(method, path, { cookie, ...(body && { body }) })
  const api = as(first.cookie)
  expect((await api('POST', '/api/operator/operators', { email: 'nobody@example.com' })).status).toBe(404)
  expect((await api('DELETE', `/api/operator/operators/${ada.id}`)).status).toBe(404)
  const last = await api('DELETE', `/api/operator/operators/${first.userId}`)
  expect([last.status, last.json.error.code]).toEqual([409, 'last_operator'])

  for (let round = 0; round < 5; round++) {
    const added = await api('POST', '/api/operator/operators', { email: ada.email.toUpperCase() })
    expect([added.status, added.json.email]).toEqual([201, ada.email])
    const answers = await Promise.all([
      api('DELETE', `/api/operator/operators/${ada.id}`),
      as(ada.cookie)('DELETE', `/api/operator/operators/${first.userId}`),
    ])
    const codes = answers.map(({ status, json }) => `${status} ${json.error?.code ?? ''}`)
    expect(codes).toContain('200 ')
    expect(codes.filter((code) => code === '200 ')).toHaveLength(1)
    expect(await operators()).toHaveLength(1)
    await database.owner.query('update users set is_operator = (id = $1)', [first.userId])
  }
  const { data } = (await api('GET', '/api/operator/operators')).json
  expect(data).toMatchObject([{ id: first.userId }])
})
