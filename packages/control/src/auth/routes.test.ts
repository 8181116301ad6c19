import { createHook } from 'node:async_hooks'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { cookieOf, join, PASSWORD, signUp, tokenFor } from '@nemo/testing/people'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { totpCode } from '../identity/totp.ts'

let database: TestDatabase
let control: RunningControl

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database, { trustedProxies: ['127.0.0.1'] })
})
afterAll(async () => {
  expect(control?.problems).toEqual([])
  await control?.close()
  await database?.close()
})

let addresses = 0
/** A call from an address that nobody called from before. */
const call = (method: string, path: string, body?: object, more: { cookie?: string } = {}) =>
  control.call(method, path, {
    headers: { 'x-forwarded-for': `10.9.${++addresses >> 8}.${addresses & 255}` },
    ...(body && { body }),
    ...more,
  })

const signIn = (email: string, password = PASSWORD, code?: string) =>
  call('POST', '/api/auth/sign-in', { email, password, ...(code && { code }) })

describe('signing up', () => {
  test('makes an account, an organization with a Default team and $5, when the link of the mail is followed', async () => {
    const body = { email: 'Ada@Example.com', password: PASSWORD, name: 'Ada', organization_name: 'Analytical Engines' }
    const asked = await call('POST', '/api/auth/sign-up', body)
    expect(asked.status).toBe(202)
    expect(asked.headers['set-cookie']).toBeUndefined()
    expect((await signIn(body.email)).status).toBe(401)

    const verified = await call('POST', '/api/auth/verify-email', { token: tokenFor(control, body.email) })
    expect(verified.status).toBe(201)
    expect(verified.json.organization).toMatchObject({
      name: 'Analytical Engines',
      slug: 'analytical-engines',
      role: 'owner',
    })
    expect(verified.headers['set-cookie']![0]).toMatch(/^nemo_session=[\w-]{43}; .*HttpOnly; SameSite=Lax$/)
    const cookie = cookieOf(verified)
    expect((await call('GET', '/api/organization', undefined, { cookie })).json.balance).toBe('5.00')
    expect((await call('GET', '/api/teams', undefined, { cookie })).json.data).toMatchObject([
      { name: 'Default', is_default: true },
    ])

    const again = await call('POST', '/api/auth/verify-email', { token: tokenFor(control, body.email) })
    expect(again.json.error.code).toBe('link_invalid')
    expect((await signIn('ada@example.com')).status).toBe(200)
  })

  test('answers the same for an address that has an account, and mails its owner instead', async () => {
    const body = { password: PASSWORD, name: 'Eve' }
    const known = await call('POST', '/api/auth/sign-up', { ...body, email: 'ada@example.com' })
    const unknown = await call('POST', '/api/auth/sign-up', { ...body, email: 'nobody@example.com' })
    expect([known.status, known.body]).toEqual([unknown.status, unknown.body])
    expect(control.letters.findLast(({ to }) => to === 'Ada@Example.com')!.subject).toBe('You have an account already')
    expect(() => tokenFor(control, 'Ada@Example.com')).toThrow()
  })

  test('is the choice of who follows the link: a password that a stranger chose for the address is void then', async () => {
    const email = 'grace@example.com'
    await call('POST', '/api/auth/sign-up', { email, password: 'password of a stranger', name: 'Mallory' })
    await call('POST', '/api/auth/sign-up', { email, password: PASSWORD, name: 'Grace' })
    await call('POST', '/api/auth/verify-email', { token: tokenFor(control, email) })
    expect((await signIn(email, 'password of a stranger')).status).toBe(401)
    expect((await signIn(email)).json.name).toBe('Grace')
  })

  test('can be closed by the operator', async () => {
    await database.operator.query(`insert into platform_settings (name, value) values ('sign_up', '"invited"')`)
    const asked = await call('POST', '/api/auth/sign-up', { email: 'late@example.com', password: PASSWORD, name: 'L' })
    expect(asked.json.error.code).toBe('sign_up_closed')
    await database.operator.query('delete from platform_settings')
  })

  test('refuses short passwords and what it doesn’t know, by their names', async () => {
    const short = await call('POST', '/api/auth/sign-up', { email: 'a@example.com', password: 'short', name: 'A' })
    expect(short.status).toBe(400)
    expect(short.json.error).toMatchObject({ code: 'invalid_request', param: 'password' })
    const more = { email: 'a@example.com', password: PASSWORD, name: 'A', is_operator: true }
    expect((await call('POST', '/api/auth/sign-up', more)).json.error.param).toBe('is_operator')
  })
})

describe('signing in', () => {
  test('fails alike for a wrong password and for nobody', async () => {
    const wrong = await signIn('ada@example.com', 'not the password')
    const nobody = await signIn('nobody@example.com', 'not the password')
    expect(wrong.status).toBe(401)
    expect([wrong.status, wrong.body]).toEqual([nobody.status, nobody.body])
  })

  test('is limited for each address that guesses, and doesn’t keep the owner out', async () => {
    await signUp(control, 'guessed')
    const body = { email: 'guessed@example.com', password: 'a wrong password' }
    const guess = () => control.call('POST', '/api/auth/sign-in', { body, headers: { 'x-forwarded-for': '10.8.0.1' } })
    const answers = await Promise.all(Array.from({ length: 14 }, guess))
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(10).fill(401), ...Array(4).fill(429)])
    const refused = answers.find(({ status }) => status === 429)!
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect((await signIn(body.email)).status).toBe(200)
  })

  test('is limited for one address over all accounts, and for one account over all addresses, also where there is none', async () => {
    const expectLimited = async (max: number, attempt: (i: number) => ReturnType<typeof call>) => {
      const answers = await Promise.all(Array.from({ length: max + 10 }, (_, i) => attempt(i)))
      const count = (wanted: number) => answers.filter(({ status }) => status === wanted).length
      // On a busy machine there may be room for one or another again, meanwhile.
      expect(count(401)).toBeGreaterThanOrEqual(max)
      expect(count(429)).toBeGreaterThan(0)
      expect(count(401) + count(429)).toBe(max + 10)
    }
    const body = (email: string) => ({ email, password: 'a wrong password' })
    const fromOne = (i: number) =>
      control.call('POST', '/api/auth/sign-in', {
        body: body(`someone-${i}@example.com`),
        headers: { 'x-forwarded-for': '10.8.0.2' },
      })
    await expectLimited(60, fromOne)
    // One network of IPv6 is one address: whoever has it has all of it.
    const fromNetwork = (i: number) =>
      control.call('POST', '/api/auth/sign-in', {
        body: body(`another-${i}@example.com`),
        headers: { 'x-forwarded-for': `2001:db8:1:2::${i + 1}` },
      })
    await expectLimited(60, fromNetwork)
    await signUp(control, 'sought')
    for (const email of ['sought@example.com', 'not-there@example.com'])
      await expectLimited(100, () => call('POST', '/api/auth/sign-in', body(email)))
  })

  test('mails no address more than five links an hour, whoever asks', async () => {
    const asked = async (path: string, body: object) => {
      const answers = await Promise.all(Array.from({ length: 7 }, () => call('POST', path, body)))
      await control.control.later.settled()
      return answers.map(({ status }) => status).sort()
    }
    const letters = () => control.letters.filter(({ to }) => to === 'flooded@example.com').length
    const limited = [202, 202, 202, 202, 202, 429, 429]
    const body = { email: 'flooded@example.com', password: PASSWORD, name: 'Flooded' }
    expect(await asked('/api/auth/sign-up', body)).toEqual(limited)
    expect(letters()).toBe(5)
    await call('POST', '/api/auth/verify-email', { token: tokenFor(control, body.email) })
    expect(await asked('/api/auth/forgot-password', { email: body.email })).toEqual(limited)
    expect(letters()).toBe(10)
  })

  test('ends with signing out: the cookie is worth nothing then', async () => {
    const cookie = cookieOf(await signIn('ada@example.com'))
    expect((await call('GET', '/api/me', undefined, { cookie })).status).toBe(200)
    expect((await call('POST', '/api/auth/sign-out', undefined, { cookie })).status).toBe(200)
    expect((await call('GET', '/api/me', undefined, { cookie })).status).toBe(401)
  })

  test('keeps a password anew where what a hash costs was raised since', async () => {
    const person = await signUp(control, 'strengthened')
    const hash = async () =>
      (await database.owner.query('select password_hash as hash from users where id = $1', [person.id])).rows[0].hash
    const before = await hash()
    const dearer = await runControl(database, { passwordCost: { n: 2048, r: 8, p: 1 } })
    const enter = (password: string) =>
      dearer.call('POST', '/api/auth/sign-in', { body: { email: person.email, password } })
    expect((await enter('not the password')).status).toBe(401)
    await dearer.control.later.settled()
    expect(await hash()).toBe(before)
    expect((await enter(PASSWORD)).status).toBe(200)
    await dearer.control.later.settled()
    const after = await hash()
    expect(after).toMatch(/^scrypt\$2048\$8\$1\$/)
    expect((await enter(PASSWORD)).status).toBe(200)
    await dearer.control.later.settled()
    expect(await hash()).toBe(after)
    await dearer.close()
  })

  test('keeps no secret that a dump would show', async () => {
    const cookie = cookieOf(await signIn('ada@example.com')).split('=')[1]!
    const { rows } = await database.owner.query(
      `select (select string_agg(s::text, '') from sessions s) || (select string_agg(u::text, '') from users u)
           || (select coalesce(string_agg(s::text, ''), '') from sign_ups s) as dump`,
    )
    for (const secret of [cookie, PASSWORD, Buffer.from(cookie, 'base64url').toString('hex')])
      expect(rows[0].dump).not.toContain(secret)
  })
})

describe('how long an answer takes', () => {
  let derived = 0
  // Passwords are derived in this very process, where Node tells of each.
  const hook = createHook({ init: (_, type) => void (type === 'SCRYPTREQUEST' && derived++) })
  beforeAll(() => void hook.enable())
  afterAll(() => void hook.disable())

  const workOf = async (act: () => Promise<{ status: number }>) => {
    const before = derived
    const { status } = await act()
    await control.control.later.settled()
    return [status, derived - before]
  }

  test('says nothing of who has an account: one password is derived for a sign-in, whoever it is, and for a sign-up', async () => {
    const person = await signUp(control, 'timed')
    await database.owner.query(
      `insert into users (id, email, name) values (gen_random_uuid(), 'google@example.com', 'G')`,
    )
    for (const email of [person.email, 'google@example.com', 'nobody-at-all@example.com'])
      expect(await workOf(() => signIn(email, 'not the password')), email).toEqual([401, 1])
    for (const email of [person.email, 'nobody-at-all@example.com']) {
      const body = { email, password: PASSWORD, name: 'Timed' }
      expect(await workOf(() => call('POST', '/api/auth/sign-up', body)), email).toEqual([202, 1])
      expect(await workOf(() => call('POST', '/api/auth/forgot-password', { email })), email).toEqual([202, 0])
    }
  })
})

describe('another password', () => {
  test('is set with the link of a mail, once, and ends every session', async () => {
    const person = await signUp(control, 'forgetful')
    expect((await call('POST', '/api/auth/forgot-password', { email: person.email })).status).toBe(202)
    await control.control.later.settled()
    const token = tokenFor(control, person.email)
    const body = { token, password: 'another long password' }
    expect((await call('POST', '/api/auth/reset-password', body)).status).toBe(200)
    expect((await call('POST', '/api/auth/reset-password', body)).json.error.code).toBe('link_invalid')
    expect((await person.call('GET', '/api/me')).status).toBe(401)
    expect((await signIn(person.email)).status).toBe(401)
    expect((await signIn(person.email, body.password)).status).toBe(200)
  })

  test('is set by one of several links that are followed at once', async () => {
    const person = await signUp(control, 'impatient')
    const tokens: string[] = []
    for (let i = 0; i < 4; i++) {
      await call('POST', '/api/auth/forgot-password', { email: person.email })
      await control.control.later.settled()
      tokens.push(tokenFor(control, person.email))
    }
    const answers = await Promise.all(
      [...tokens, ...tokens].map((token, i) =>
        call('POST', '/api/auth/reset-password', { token, password: `another long password ${i}` }),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400, 400, 400, 400])
  })

  test('is promised alike to who has no account, who gets no mail', async () => {
    const before = control.letters.length
    const nobody = await call('POST', '/api/auth/forgot-password', { email: 'nobody@example.com' })
    await control.control.later.settled()
    expect(control.letters.length).toBe(before)
    const known = await call('POST', '/api/auth/forgot-password', { email: 'ada@example.com' })
    await control.control.later.settled()
    expect(control.letters.length).toBe(before + 1)
    expect([nobody.status, nobody.body]).toEqual([known.status, known.body])
  })
})

describe('an authenticator', () => {
  test('is asked for once it is confirmed, takes each code once, and recovery codes stand in for it', async () => {
    const person = await signUp(control, 'careful')
    const wrong = await person.call('POST', '/api/me/totp', { password: 'a wrong password' })
    expect(wrong.json.error.code).toBe('wrong_password')
    const { secret, uri } = (await person.call('POST', '/api/me/totp', { password: PASSWORD })).json
    expect(uri).toContain(`secret=${secret}`)
    expect((await signIn(person.email)).status).toBe(200)

    const now = Math.floor(Date.now() / 30_000)
    const confirmed = await person.call('POST', '/api/me/totp/confirm', { code: totpCode(secret, now) })
    expect(confirmed.json.recovery_codes).toHaveLength(10)
    for (const code of confirmed.json.recovery_codes) expect(code).toMatch(/^([A-Z2-7]{4}-){3}[A-Z2-7]{4}$/)

    expect((await signIn(person.email)).json.error.code).toBe('totp_required')
    expect((await signIn(person.email, 'a wrong password')).json.error.code).toBe('invalid_credentials')
    const code = totpCode(secret, now + 1)
    const at = await Promise.all(Array.from({ length: 5 }, () => signIn(person.email, PASSWORD, code)))
    expect(at.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401, 401])
    const [recovery] = confirmed.json.recovery_codes
    expect((await signIn(person.email, PASSWORD, recovery.toLowerCase())).status).toBe(200)
    expect((await signIn(person.email, PASSWORD, recovery)).json.error.code).toBe('invalid_code')

    const off = { password: PASSWORD, code: confirmed.json.recovery_codes[1] }
    expect((await person.call('POST', '/api/me/totp/disable', off)).status).toBe(200)
    expect((await signIn(person.email)).status).toBe(200)
  })
})

test('codes are those of RFC 6238, appendix B', () => {
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
  const codes = [59, 1_111_111_109, 1_111_111_111, 1_234_567_890, 2_000_000_000, 20_000_000_000].map((at) =>
    totpCode(secret, Math.floor(at / 30), 8),
  )
  expect(codes).toEqual(['94287082', '07081804', '14050471', '89005924', '69279037', '65353130'])
})

describe('sessions and personal tokens', () => {
  test('are listed, and ended from elsewhere', async () => {
    const person = await signUp(control, 'wanderer')
    const elsewhere = cookieOf(await signIn(person.email))
    const { data } = (await person.call('GET', '/api/me/sessions')).json
    expect(data).toHaveLength(2)
    const other = data.find((one: { current: boolean }) => !one.current)
    expect((await person.call('DELETE', `/api/me/sessions/${other.id}`)).status).toBe(200)
    expect((await call('GET', '/api/me', undefined, { cookie: elsewhere })).status).toBe(401)
    expect((await person.call('GET', '/api/me')).status).toBe(200)
  })

  test('a token may what its user may, changes nothing of his account, and ends when it is revoked', async () => {
    const person = await signUp(control, 'automatic')
    const { token, id } = (await person.call('POST', '/api/me/tokens', { name: 'CI' })).json
    expect(token).toMatch(/^nemo_pat_[\w-]{43}$/)
    const letter = control.letters.findLast(({ to }) => to === person.email)!
    expect(letter.subject).toBe('A personal token was created for your account')
    expect(letter.text).not.toContain(token)
    const asToken = (method: string, path: string, body?: object) =>
      control.call(method, path, { key: token, ...(body && { body }) })
    expect((await asToken('GET', '/api/me')).json.id).toBe(person.id)
    expect((await asToken('POST', '/api/teams', { name: 'Robots' })).status).toBe(201)
    const tried = { current_password: PASSWORD, new_password: 'another long password' }
    expect((await asToken('POST', '/api/me/password', tried)).json.error.code).toBe('session_required')
    expect((await asToken('POST', '/api/me/tokens', { name: 'More' })).json.error.code).toBe('session_required')
    const listed = (await person.call('GET', '/api/me/tokens')).json.data
    expect(listed).toMatchObject([{ id, name: 'CI', hint: `nemo_pat_…${token.slice(-4)}` }])
    expect(listed[0].last_used_at).not.toBeNull()
    await person.call('DELETE', `/api/me/tokens/${id}`)
    expect((await asToken('GET', '/api/me')).status).toBe(401)
  })
})

test('an account is deleted by who belongs to no organization, with all that he signs in with, and the address is free again', async () => {
  const person = await signUp(control, 'leaving')
  const wrong = await person.call('POST', '/api/me/delete', { password: 'not the password' })
  expect(wrong.json.error.code).toBe('wrong_password')
  const early = await person.call('POST', '/api/me/delete', { password: PASSWORD })
  expect([early.status, early.json.error.code]).toEqual([409, 'has_organization'])
  await join(control, person, 'remaining', 'owner')
  await person.call('POST', '/api/organization/leave')
  const elsewhere = cookieOf(await signIn(person.email))
  const done = await person.call('POST', '/api/me/delete', { password: PASSWORD })
  expect(done.json).toEqual({ object: 'user', deleted: true })
  expect(done.headers['set-cookie']![0]).toMatch(/^nemo_session=; Max-Age=0/)
  for (const cookie of [person.cookie, elsewhere])
    expect((await call('GET', '/api/me', undefined, { cookie })).status).toBe(401)
  expect((await signIn(person.email)).status).toBe(401)
  expect((await signUp(control, 'leaving')).id).not.toBe(person.id)
})
