import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, relative } from 'node:path'
import { type Client, makeClient } from '@nemo/api/client'
import { totpCode } from '@nemo/control/identity/totp'
import { connectionUrl, readConnection } from '@nemo/embedded-postgres/connection-file'
import { type StripeEmulator, startStripeEmulator } from '@nemo/sandbox/stripe/emulator'
import { httpCall } from '@nemo/testing/http-call'
import OpenAI, { APIError } from 'openai'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { buildNemo, Installation, type Spawned } from './testing/installation.ts'

const STRIPE = { secretKey: 'sk_test_planted_stripe_key', webhookSecret: 'whsec_planted_webhook_secret' }
let bundle: Awaited<ReturnType<typeof buildNemo>>
let nemo: Installation
let stripe: StripeEmulator
let running: Spawned
let origin: string

beforeAll(async () => {
  stripe = await startStripeEmulator(STRIPE)
  bundle = await buildNemo()
  nemo = await Installation.make(bundle.path)
  const started = await nemo.start([], {
    STRIPE_SECRET_KEY: STRIPE.secretKey,
    STRIPE_WEBHOOK_SECRET: STRIPE.webhookSecret,
    STRIPE_API_BASE: stripe.url,
  })
  running = started.nemo
  origin = new URL(started.listening.url).origin
})

afterAll(async () => {
  await nemo?.close()
  await stripe?.close()
  await bundle?.remove()
})

/** Somebody at a browser: what is called keeps the cookie. */
function person(onCookie: (cookie: string) => void = () => {}): Client {
  let cookie = ''
  return makeClient({
    url: origin,
    async fetch(input, init) {
      const answer = await fetch(input, { ...init, headers: { ...init?.headers, cookie } })
      const [set] = answer.headers.getSetCookie()
      if (set) cookie = set.split(';')[0]!
      onCookie(cookie)
      return answer
    },
  })
}

/** The secret in the link of the latest mail to the address, once it is there. */
async function linkIn(address: string, subject: RegExp): Promise<string> {
  const folder = join(nemo.dataFolder, 'mailbox')
  return vi.waitFor(async () => {
    for (const name of (await readdir(folder)).sort().reverse()) {
      const letter = JSON.parse(await readFile(join(folder, name), 'utf8'))
      const token = /#(?:[\w-]+=)?([\w-]{43})\b/.exec(letter.text)?.[1]
      if (letter.to === address && subject.test(letter.subject) && token) return token
    }
    throw new Error(`no such mail to ${address}`)
  }, 5_000)
}

const PASSWORD = 'correct horse battery staple'

async function signUp(email: string, organization: string, onCookie?: (cookie: string) => void): Promise<Client> {
  const client = person(onCookie)
  await client.signUp({ body: { email, password: PASSWORD, name: 'Ada', organization_name: organization } })
  await client.verifyEmail({ body: { token: await linkIn(email, /./) } })
  return client
}

/** Pictures of four cents each; answers with the status, and the code of an error. */
async function draw(key: string, n: number): Promise<string> {
  const openai = new OpenAI({ apiKey: key, baseURL: `${origin}/v1`, maxRetries: 0 })
  return openai.images.generate({ model: 'sandbox-images', prompt: 'a fish', n }).then(
    () => '200',
    (error) => (error instanceof APIError ? `${error.status} ${error.code}` : String(error)),
  )
}

async function deliverEvents(from: number): Promise<void> {
  for (const event of stripe.till.events.slice(from)) {
    const { body, headers } = stripe.sign(event)
    expect((await httpCall(`${origin}/api/stripe/webhook`, { body, headers })).status).toBe(200)
  }
}

test('a newcomer signs up, gets five dollars, invites, limits, spends, is stopped at the cap, buys, goes on, and finds all of it in the audit log', async () => {
  const ada = await signUp('ada@example.com', 'Acme')
  const me = await ada.getMe()
  expect(me).toMatchObject({ email: 'ada@example.com', organization: { name: 'Acme', role: 'owner' } })
  expect(await ada.getBilling()).toMatchObject({ balance: '5.00' })

  await ada.createInvitation({ body: { email: 'grace@example.com', role: 'member' } })
  const grace = person()
  const token = await linkIn('grace@example.com', /invit/i)
  await grace.acceptInvitation({ body: { token, name: 'Grace', password: PASSWORD } })
  expect((await ada.listMembers({})).data.map(({ role }) => role).sort()).toEqual(['member', 'owner'])

  const other = await ada.createKey({ body: { alias: 'other' } })
  const agent = await ada.createKey({ body: { alias: 'agent', limits: { budget_day: '5.00' } } })
  expect([await draw(other.key, 10), await draw(other.key, 10), await draw(other.key, 5)]).toEqual([
    '200',
    '200',
    '200',
  ])
  for (let i = 0; i < 10; i++) expect(await draw(agent.key, 10)).toBe('200')
  expect(await draw(agent.key, 1)).toBe('402 insufficient_credits')
  await expect.poll(async () => (await ada.getBilling()).balance, { timeout: 3_000 }).toBe('0.00')

  const from = stripe.till.events.length
  const { checkout_url } = await ada.createPurchase({ body: { amount: '10.00', pay_with: 'checkout' } })
  const paid = await httpCall(checkout_url!, {
    body: 'card=pm_card_visa',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  expect(paid.status).toBe(303)
  await deliverEvents(from)
  await expect.poll(() => draw(agent.key, 10), { timeout: 3_000 }).toBe('200')
  expect([await draw(agent.key, 10), await draw(agent.key, 5)]).toEqual(['200', '200'])
  expect(await draw(agent.key, 1)).toBe('402 budget_exceeded')
  await expect.poll(async () => (await ada.getBilling()).balance, { timeout: 3_000 }).toBe('9.00')
  expect((await ada.listInvoices({})).data).toMatchObject([{ total: '10.40' }])

  const { data } = await ada.listAudit({ query: { limit: 100 } })
  expect(data.map(({ action }) => action).reverse()).toEqual([
    'organization.created',
    'invitation.created',
    'invitation.accepted',
    'key.created',
    'key.created',
    'purchase.created',
    'purchase.paid',
  ])
  expect((await nemo.run(['audit', 'verify'])).code).toBe(0)
})

test('nothing that is secret gets into logs, errors, dumps and files of the database, or any file but the mailbox', async () => {
  const secret = 'sk-provider-planted-0123456789abcdef'
  // A provider that says the key it was sent.
  const provider = createServer((request, response) => {
    response.writeHead(401, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { message: `Incorrect API key provided: ${request.headers.authorization}` } }))
  })
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const { port } = provider.address() as AddressInfo
  const added = await nemo.run(
    [
      ...['provider', 'add', 'echo', '--type', 'openai-compatible', '--base-url', `http://127.0.0.1:${port}/v1`],
      ...['--model', 'echo', '--free', '--api-key-stdin'],
    ],
    {},
    secret,
  )
  expect([added.code, added.stderr]).toEqual([0, expect.anything()])

  let cookie = ''
  const eve = await signUp('eve@example.com', 'Evil', (sent) => (cookie = sent))
  const link = await linkIn('eve@example.com', /./)
  const { key: formerKey, id } = await eve.createKey({ body: { alias: 'planted' } })
  const { key } = await eve.rotateKey({ params: { id }, body: { overlap_hours: 1 } })
  const personal = (await eve.createToken({ body: { name: 'planted' } })).token
  const hook = { url: 'https://example.com/hook', events: ['webhook.test'] }
  const webhook = (await eve.createWebhook({ body: hook })).secret
  const totp = (await eve.startTotp({ body: { password: PASSWORD } })).secret
  const { recovery_codes: codes } = await eve.confirmTotp({
    body: { code: totpCode(totp, Math.floor(Date.now() / 30_000)) },
  })
  const asked = await httpCall(`${origin}/v1/chat/completions`, {
    key,
    body: { model: 'echo', messages: [{ role: 'user', content: 'planted-prompt' }] },
  })
  expect(asked.status).toBe(502)
  expect(asked.body + JSON.stringify(asked.headers)).not.toContain('planted')
  const wrong = await httpCall(`${origin}/api/auth/sign-in`, {
    body: { email: 'eve@example.com', password: `${PASSWORD} planted-guess` },
  })
  expect(wrong.body).not.toContain('planted')
  // The row of the call is written a moment after its answer.
  await expect.poll(async () => (await nemo.run(['logs', '--json'])).stdout, { timeout: 5_000 }).toContain('"echo"')

  const dump = await dumpOfDatabase()
  const { stdout, stderr } = await running.stop()
  provider.close()
  const masterKey = (await readFile(join(nemo.dataFolder, 'master.key'), 'utf8')).trim()
  const session = cookie.split('=')[1]!
  const plain = codes.map((code) => code.replaceAll('-', ''))
  const secrets = {
    ...{ secret, formerKey, key, personal, webhook, totp, session, link, PASSWORD, masterKey, ...STRIPE },
    ...Object.fromEntries([...codes, ...plain].map((code, i) => [`recovery code ${i}`, code])),
    ...{ guess: 'planted-guess', prompt: 'planted-prompt' },
  }
  for (const [name, value] of Object.entries(secrets)) expect(value.length, name).toBeGreaterThan(9)
  // That the search finds what there is.
  expect(found({ alias: 'planted', address: 'eve@example.com' }, dump)).toEqual(['alias', 'address'])
  expect(found(secrets, dump)).toEqual([])
  expect(found(secrets, Buffer.from(stdout + stderr))).toEqual([])
  for (const path of await filesOf(nemo.dataFolder)) {
    const kept = path.startsWith('mailbox/') || path === 'master.key'
    if (!kept) expect([path, found(secrets, await readFile(join(nemo.dataFolder, path)))]).toEqual([path, []])
  }
})

/** As it is, or as a dump writes bytes. */
function found(secrets: Readonly<Record<string, string>>, bytes: Buffer): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) =>
    [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64').replace(/=+$/, '')].some(
      (text) => bytes.includes(text),
    )
      ? [name]
      : [],
  )
}

/** Every row of every table, as the superuser reads them, uncompressed: what a dump has. The binaries from npm have no pg_dump. */
async function dumpOfDatabase(): Promise<Buffer> {
  const client = new pg.Client(connectionUrl(readConnection(join(nemo.dataFolder, 'postgres', 'connection.json'))!))
  await client.connect()
  const { rows: tables } = await client.query(
    `select oid::regclass::text as name from pg_class where relkind in ('r', 'p', 'm') and not relispartition and relnamespace <> 'information_schema'::regnamespace`,
  )
  const parts: string[] = []
  for (const { name } of tables) {
    const { rows } = await client.query(`select t::text as row from ${name} t`)
    parts.push(name, ...rows.map(({ row }) => row))
  }
  await client.end()
  return Buffer.from(parts.join('\n'))
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}
