import { parseNetwork } from '@nemo/domain/address'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type OpenIdProvider, startOpenIdProvider, type Vouched } from '@nemo/testing/openid-provider'
import { join, PASSWORD, type Person, signUp, tokenFor } from '@nemo/testing/people'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { totpCode } from '../identity/totp.ts'

let database: TestDatabase
let provider: OpenIdProvider
let control: RunningControl
let acme: Person
let rival: Person

beforeAll(async () => {
  database = await freshDatabase()
  provider = await startOpenIdProvider()
  const { clientId, clientSecret, url } = provider
  control = await runControl(database, {
    trustedProxies: ['127.0.0.1'],
    outbound: { allowHttp: true, allowedNetworks: [parseNetwork('127.0.0.1')!] },
    signInProviders: [
      { id: 'google', clientId, clientSecret, url },
      { id: 'github', clientId, clientSecret, url },
    ],
  })
  acme = await signUp(control, 'acme')
  rival = await signUp(control, 'rival')
  for (const owner of [acme, rival]) {
    const answer = await owner.call('PUT', '/api/sso', { ...client(), default_role: 'member' })
    expect(answer.status, answer.body).toBe(200)
  }
})
afterAll(async () => {
  await control?.close()
  await provider?.close()
  await database?.close()
})

const client = () => ({ issuer: provider.url, client_id: provider.clientId, client_secret: provider.clientSecret })

let addresses = 0

/** Goes through a sign-in as a browser does, and answers with where it ended and the cookies that it has then. */
async function visit(path: string, vouched: Partial<Vouched>, change: (back: URL) => void = () => {}, cookie?: string) {
  provider.vouched = { subject: '1', email: 'someone@example.com', emailVerified: true, name: 'Someone', ...vouched }
  const headers = { 'x-forwarded-for': `10.6.0.${++addresses}` }
  const begun = await control.call('GET', path, { headers })
  expect(begun.status, begun.body).toBe(302)
  if (!begun.headers.location!.startsWith(provider.url)) return { location: begun.headers.location!, cookie: '' }
  const there = await httpCall(begun.headers.location!)
  const back = new URL(there.headers.location!)
  change(back)
  const done = await control.call('GET', back.pathname + back.search, {
    headers,
    cookie: [cookiesOf(begun), cookie].filter(Boolean).join('; '),
  })
  expect(done.status, done.body).toBe(302)
  return { location: done.headers.location!.replace(control.url, ''), cookie: cookiesOf(done) }
}

/** Those that were set and not taken back. */
function cookiesOf({ headers }: Answer): string {
  const pairs = (headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0]!.split('=') as [string, string])
  return [...new Map(pairs)]
    .filter(([, value]) => value !== '')
    .map((pair) => pair.join('='))
    .join('; ')
}

const me = async (cookie: string) => (await control.call('GET', '/api/me', { cookie })).json

describe.each(['google', 'github'])('%s', (id) => {
  const path = `/api/auth/oauth/${id}`
  const [first, second] = id === 'google' ? ['101', '102'] : ['201', '202']

  test('signs up who is new, and signs in who came before, whatever his address is by now', async () => {
    const email = `new-${id}@example.com`
    const { location, cookie } = await visit(path, { subject: first!, email, name: 'New' })
    expect(location).toBe('/')
    const user = await me(cookie)
    expect(user).toMatchObject({ email, name: 'New', organization: { name: 'New', role: 'owner' } })
    const again = await visit(path, { subject: first!, email: 'changed@example.com' })
    expect((await me(again.cookie)).id).toBe(user.id)
  })

  test('opens the account of an address only where the address is verified', async () => {
    const refused = await visit(path, { subject: second!, email: acme.email, emailVerified: false })
    expect(refused).toMatchObject({ location: '/sign-in#error=no_email', cookie: '' })
    const { cookie } = await visit(path, {
      subject: second!,
      email: acme.email.toUpperCase().replace('EXAMPLE', 'example'),
    })
    expect((await me(cookie)).id).toBe(acme.id)
  })

  test('takes no answer that another browser’s sign-in has, or that was changed on its way', async () => {
    const forged = (back: URL) => back.searchParams.set('state', 'forged')
    expect((await visit(path, { subject: first! }, forged)).location).toBe('/sign-in#error=provider_failed')
    const without = await control.call('GET', `${path}/callback?code=1&state=2`)
    expect(without.headers.location).toBe(`${control.url}/sign-in#error=sign_in_expired`)
  })
})

describe('an authenticator', () => {
  test('is asked for after Google, too', async () => {
    const person = await signUp(control, 'careful')
    const { secret } = (await person.call('POST', '/api/me/totp', { password: PASSWORD })).json
    const step = Math.floor(Date.now() / 30_000)
    await person.call('POST', '/api/me/totp/confirm', { code: totpCode(secret, step) })
    const { location, cookie } = await visit('/api/auth/oauth/google', { subject: '103', email: person.email })
    expect(location).toBe('/sign-in#second-factor')
    expect(cookie).not.toContain('nemo_session')
    const give = (code: string) => control.call('POST', '/api/auth/second-factor', { cookie, body: { code } })
    expect((await give('000000')).json.error.code).toBe('invalid_code')
    expect((await give(totpCode(secret, step + 1))).json.id).toBe(person.id)
    expect((await control.call('POST', '/api/auth/second-factor', { body: { code: '000000' } })).json.error.code).toBe(
      'sign_in_expired',
    )
  })

  test('is guessed from however many addresses no more than thirty times an hour', async () => {
    const person = await signUp(control, 'besieged')
    const { secret } = (await person.call('POST', '/api/me/totp', { password: PASSWORD })).json
    const code = totpCode(secret, Math.floor(Date.now() / 30_000))
    await person.call('POST', '/api/me/totp/confirm', { code })
    const { cookie } = await visit('/api/auth/oauth/google', { subject: '104', email: person.email })
    const statuses = new Map<number, number>()
    for (let i = 0; i < 40; i++) {
      const headers = { 'x-forwarded-for': `10.5.0.${i}` }
      const { status } = await control.call('POST', '/api/auth/second-factor', {
        cookie,
        headers,
        body: { code: 'wrong-code' },
      })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    expect([...statuses.keys()].sort()).toEqual([401, 429])
    expect(statuses.get(401)).toBe(30)
  })
})

describe('the provider of an organization', () => {
  const path = '/api/auth/sso/acme'

  test('signs in who is a member', async () => {
    const member = await join(control, acme, 'colleague', 'admin')
    const { location, cookie } = await visit(path, { subject: 'c', email: member.email })
    expect(location).toBe('/')
    expect(await me(cookie)).toMatchObject({ id: member.id, organization: { role: 'admin' } })
    const again = await visit(path, { subject: 'c', email: 'changed@example.com', emailVerified: false })
    expect((await me(again.cookie)).id).toBe(member.id)
  })

  test('makes a member of who is new to the platform once a mail has reached him, without a password', async () => {
    const email = 'sso-new@example.com'
    const { location, cookie } = await visit(path, { subject: 'n', email, emailVerified: false })
    expect(location).toBe('/sign-in#confirm-address')
    expect(cookie).not.toContain('nemo_session')
    const count = async () => (await database.owner.query('select 1 from users where email = $1', [email])).rowCount
    expect(await count()).toBe(0)
    const preview = async (more: object = {}) =>
      (await control.call('POST', '/api/invitations/preview', { body: { token: tokenFor(control, email) }, ...more }))
        .json
    expect(await preview({ cookie })).toMatchObject({ email, has_account: false, needs_password: false })
    expect((await preview()).needs_password).toBe(true)
    const accepted = await control.call('POST', '/api/invitations/accept', {
      cookie,
      body: { token: tokenFor(control, email) },
    })
    expect(accepted.json).toMatchObject({ email, name: 'Someone', organization: { role: 'member' } })
    expect(accepted.json.organization.id).toBe(acme.organizationId)
    expect(accepted.headers['set-cookie']!.find((one) => one.startsWith('nemo_session'))).toContain('Max-Age=86400;')
    const later = await visit(path, { subject: 'n', email: 'changed@example.com' })
    expect((await me(later.cookie)).id).toBe(accepted.json.id)
  })

  test('claims no address for an organization: whose inbox it is decides, and needs a password where he wasn’t named', async () => {
    const email = 'victim@example.com'
    const { cookie } = await visit('/api/auth/sso/rival', { subject: 'v', email })
    const mailed = tokenFor(control, email)
    // In another browser than the one that the provider named him in.
    const body = { token: mailed }
    const accept = (more: object = {}) => control.call('POST', '/api/invitations/accept', { body, ...more })
    expect((await accept()).json.error.param).toBe('name')
    const guessed = await accept({ cookie, body: { token: 'A'.repeat(43) } })
    expect(guessed.json.error.code).toBe('link_invalid')
    // He signs up for himself as if nothing had been.
    expect((await signUp(control, 'victim')).email).toBe(email)
    expect((await visit('/api/auth/sso/rival', { subject: 'v', email })).location).toBe('/sign-in#error=account_exists')
  })

  test('lets in who was invited as what he was invited as', async () => {
    const email = 'invited@example.com'
    await acme.call('POST', '/api/invitations', { email, role: 'admin' })
    const { cookie } = await visit(path, { subject: 'i', email })
    const body = { token: tokenFor(control, email) }
    const { json } = await control.call('POST', '/api/invitations/accept', { cookie, body })
    expect(json.organization).toMatchObject({ id: acme.organizationId, role: 'admin' })
  })

  test('opens no account by an address that it hasn’t verified', async () => {
    const answer = await visit(path, { subject: 'liar', email: acme.email, emailVerified: false })
    expect(answer).toMatchObject({ location: '/sign-in#error=no_email', cookie: '' })
  })

  test('is named by owners only: an admin who named his own could come as an owner', async () => {
    const admin = await join(control, acme, 'usurper', 'admin')
    const before = (await acme.call('GET', '/api/sso')).body
    for (const [method, body] of [['PUT', client()], ['DELETE']] as const)
      expect((await admin.call(method, '/api/sso', body)).json.error.code).toBe('permission_denied')
    expect((await admin.call('GET', '/api/sso')).body).toBe(before)
  })

  test('doesn’t take the place of who is signed in already', async () => {
    const [one, other] = [await join(control, acme, 'seated', 'member'), await join(control, acme, 'planted', 'member')]
    const taken = await visit(path, { subject: 's', email: other.email }, undefined, one.cookie)
    expect(taken).toMatchObject({ location: '/sign-in#error=signed_in_otherwise', cookie: '' })
    expect((await visit(path, { subject: 'seat', email: one.email }, undefined, one.cookie)).location).toBe('/')
  })

  test('ends its sessions with itself, and all of them after a day', async () => {
    const owner = await signUp(control, 'fickle')
    const member = await join(control, owner, 'follower', 'member')
    const enter = () => visit('/api/auth/sso/fickle', { subject: 'f', email: member.email })
    const status = async ({ cookie }: { cookie: string }) => (await control.call('GET', '/api/me', { cookie })).status
    await owner.call('PUT', '/api/sso', client())
    const first = await enter()
    const { rows } = await database.owner.query(
      `select expires_at - created_at <= interval '1 day 1 second' as is_short from sessions where sso_organization_id = $1`,
      [owner.organizationId],
    )
    expect(rows).toEqual([{ is_short: true }])
    expect(await status(first)).toBe(200)
    await owner.call('PUT', '/api/sso', client())
    const second = await enter()
    expect([await status(first), await status(second)]).toEqual([401, 200])
    await owner.call('DELETE', '/api/sso')
    expect(await status(second)).toBe(401)
    const { data } = (await owner.call('GET', '/api/audit?action=sso.*')).json
    const actions = data.map(({ action }: { action: string }) => action)
    expect(actions).toEqual(['sso.deleted', 'sso.updated', 'sso.updated'])
    // Those that he signed in to himself go on.
    expect((await member.call('GET', '/api/me')).status).toBe(200)
  })

  test('that takes the place of another knows nobody by that one’s names', async () => {
    const owner = await signUp(control, 'mover-of-providers')
    const other = await startOpenIdProvider()
    const member = await join(control, owner, 'number-seven', 'member')
    await owner.call('PUT', '/api/sso', client())
    const slug = (await owner.call('GET', '/api/organization')).json.slug
    expect((await visit(`/api/auth/sso/${slug}`, { subject: '7', email: member.email })).location).toBe('/')
    const { clientId: client_id, clientSecret: client_secret } = other
    await owner.call('PUT', '/api/sso', { issuer: other.url, client_id, client_secret })
    const known = provider
    provider = other
    const { location } = await visit(`/api/auth/sso/${slug}`, { subject: '7', email: 'somebody-else@example.com' })
    provider = known
    await other.close()
    expect(location).toBe('/sign-in#error=not_a_member')
  })

  test('opens no account of another organization, of none, nor of the operator', async () => {
    expect(await visit(path, { subject: 'r', email: rival.email })).toEqual({
      location: '/sign-in#error=account_exists',
      cookie: '',
    })
    const free = await join(control, acme, 'free', 'member')
    await free.call('POST', '/api/organization/leave')
    expect((await visit(path, { subject: 'f', email: free.email })).location).toBe('/sign-in#error=account_exists')
    const operator = await join(control, acme, 'boss', 'member')
    await database.owner.query('update users set is_operator = true where id = $1', [operator.id])
    expect((await visit(path, { subject: 'o', email: operator.email })).location).toBe('/sign-in#error=account_exists')
  })

  test('vouches for its members only while they are: its sessions end with the membership', async () => {
    const member = await join(control, acme, 'mover', 'member')
    const { cookie } = await visit(path, { subject: 'm', email: member.email })
    expect((await me(cookie)).id).toBe(member.id)
    await acme.call('DELETE', `/api/members/${member.id}`)
    expect((await me(cookie)).error.code).toBe('not_signed_in')
    expect((await visit(path, { subject: 'm', email: member.email })).location).toBe('/sign-in#error=not_a_member')
    // His own session is as good as it was.
    expect((await member.call('GET', '/api/me')).json.id).toBe(member.id)
  })

  test('lets in nobody new where the organization doesn’t want it', async () => {
    await rival.call('PUT', '/api/sso', { ...client(), default_role: null })
    const refused = await visit('/api/auth/sso/rival', { subject: 'x', email: 'unknown@example.com' })
    expect(refused.location).toBe('/sign-in#error=not_a_member')
  })

  test.each(['signature', 'unsigned', 'nonce', 'audience', 'issuer', 'expired'] as const)(
    'isn’t believed when the %s of its token is wrong',
    async (fault) => {
      expect((await visit(path, { subject: 'n', fault })).location).toBe('/sign-in#error=provider_failed')
    },
  )

  test('of one organization is none of another: an answer for one isn’t taken for the other', async () => {
    const answer = await visit(path, { subject: 'n', email: 'sso-new@example.com' }, (back) => {
      back.pathname = '/api/auth/oauth/google/callback'
    })
    expect(answer.location).toBe('/sign-in#error=sign_in_expired')
    // A provider that sends people on to another one can't have that one's codes brought to itself (a mix-up attack).
    const mixedUp = await visit('/api/auth/sso/rival', { subject: 'c' }, (back) => {
      back.pathname = `/api/auth/sso/${acme.organizationId}/callback`
    })
    expect(mixedUp.location).toBe('/sign-in#error=sign_in_expired')
    const at = async (owner: Person) => (await owner.call('GET', '/api/sso')).json.redirect_uri
    expect(await at(acme)).not.toBe(await at(rival))
  })

  test('is told apart from none neither by who has one nor by who isn’t there', async () => {
    const none = await control.call('GET', '/api/auth/sso/nobody-has-this')
    const person = await signUp(control, 'withoutsso')
    const without = await control.call('GET', `/api/auth/sso/${person.email.split('@')[0]}`)
    expect([none.status, none.headers.location]).toEqual([without.status, without.headers.location])
  })

  test('isn’t reached in the operator’s network, and its secret is shown to nobody', async () => {
    const strict = await runControl(database)
    const answer = await strict.call('PUT', '/api/sso', { cookie: acme.cookie, body: client() })
    expect(answer.json.error).toMatchObject({ code: 'issuer_unusable', param: 'issuer' })
    await strict.close()
    const shown = await acme.call('GET', '/api/sso')
    expect(shown.json).toMatchObject({
      issuer: provider.url,
      redirect_uri: `${control.url}/api/auth/sso/${acme.organizationId}/callback`,
    })
    const { rows } = await database.owner.query('select string_agg(c::text, $1) as dump from sso_connections c', [''])
    for (const text of [shown.body, rows[0].dump, JSON.stringify((await acme.call('GET', '/api/audit')).json)])
      expect(text).not.toContain(provider.clientSecret)
  })
})
