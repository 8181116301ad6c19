import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { httpCall } from '@nemo/testing/http-call'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildNemo, Installation } from './testing/installation.ts'

let bundle: Awaited<ReturnType<typeof buildNemo>>
let nemo: Installation

beforeAll(async () => {
  bundle = await buildNemo()
  nemo = await Installation.make(bundle.path, null)
})
afterAll(async () => {
  await nemo?.close()
  await bundle?.remove()
})

test('one port serves both planes: who signs up finds his mail in the data folder, and has $5', async () => {
  const running = nemo.spawn(['start', '--port', '0', '--json'])
  const { url } = JSON.parse(await running.shows('\n'))
  const origin = url.replace(/\/v1$/, '')
  const call = (method: string, path: string, body?: object, cookie = '') =>
    httpCall(origin + path, {
      method,
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        ...(cookie && { cookie, 'sec-fetch-site': 'same-origin' }),
      },
      ...(body && { body }),
    })

  const email = 'ada@example.com'
  const body = { email, password: 'correct horse battery', name: 'Ada' }
  expect((await call('POST', '/api/auth/sign-up', body)).status).toBe(202)
  const mailbox = join(nemo.dataFolder, 'mailbox')
  const whole = async () => (await readdir(mailbox).catch(() => [])).filter((name) => name.endsWith('.json'))
  await expect.poll(whole, { timeout: 5_000 }).toHaveLength(1)
  const names = await whole()
  const letter = JSON.parse(await readFile(join(mailbox, names[0]!), 'utf8'))
  expect(letter.to).toBe(email)
  // A link that leads here, without anything having been configured.
  const [, link, token] = /(http:\S+)#token=(\S+)/.exec(letter.text)!
  expect(link).toBe(`${origin}/verify-email`)

  const verified = await call('POST', '/api/auth/verify-email', { token })
  const cookie = verified.headers['set-cookie']![0]!.split(';')[0]!
  expect((await call('GET', '/api/organization', undefined, cookie)).json).toMatchObject({
    name: 'Ada',
    balance: '5.00',
  })
  expect((await call('GET', '/api/openapi.json')).json.servers).toEqual([{ url: origin }])

  // Who runs it gives an organization that he made its owner.
  const run = await nemo.run(['organization', 'invite', 'demo', 'grace@example.com', '--json'])
  const invited = JSON.parse(run.stdout)
  expect(invited).toMatchObject({ organization: 'demo', role: 'owner' })
  const accepted = await call('POST', '/api/invitations/accept', {
    token: String(invited.link).split('#token=')[1],
    name: 'Grace',
    password: 'correct horse battery',
  })
  expect(accepted.json.organization).toMatchObject({ slug: 'demo', role: 'owner' })

  // The data plane's own stay the data plane's.
  expect((await call('GET', '/v1/models')).json.error.code).toBe('invalid_api_key')
  expect((await call('GET', '/healthz')).json).toEqual({ status: 'ok' })
  expect((await call('GET', '/nothing')).json.error.code).toBe('not_found')

  const ended = await running.stop()
  expect(ended.code).toBe(0)
  for (const secret of [token!, cookie.split('=')[1]!, body.password, email]) {
    expect(ended.stderr).not.toContain(secret)
    expect(ended.stdout).not.toContain(secret)
  }
})
