import { startSandbox } from '@nemo/sandbox/sandbox'
import { expect, test } from 'vitest'
import { EntraAccess } from './entra.ts'

const application = (authorityHost: string, clientSecret: string, more: object = {}) =>
  JSON.stringify({ tenantId: 'acme.example', clientId: 'router', clientSecret, authorityHost, ...more })

test('an application’s secret becomes a token, once for all who wait, and Azure lets it in at either version', async () => {
  const sandbox = await startSandbox({ apiKey: 'the-key' })
  const access = new EntraAccess(application(`${sandbox.origin}/azure/`, 'the-key'))
  const now = Date.now()
  const [one, two] = await Promise.all([access.headers(now), access.headers(now)])
  expect(two).toBe(one)
  expect(access.headers(now + 50 * 60_000)).toBe(one)
  expect(sandbox.stats(1).recent[0]).toMatchObject({ path: '/azure/acme.example/oauth2/v2.0/token', status: 200 })
  expect(sandbox.stats().requests).toBe(1)
  const ask = (path: string, authorization: string) =>
    fetch(`${sandbox.origin}/azure/openai${path}`, {
      method: 'POST',
      headers: { authorization },
      body: JSON.stringify({ model: 'sandbox-chat', messages: [{ role: 'user', content: 'Hi.' }] }),
    })
  const dated = '/deployments/sandbox-chat/chat/completions?api-version=2024-10-21'
  for (const path of ['/v1/chat/completions', dated]) expect((await ask(path, one[1]!)).status).toBe(200)
  expect((await ask(dated, 'Bearer the-key')).status).toBe(401)
  await sandbox.close()
})

test('what the Azure CLI prints of an application will do', async () => {
  const sandbox = await startSandbox({ apiKey: 'the-key' })
  const printed = { appId: 'router', displayName: 'nemo', password: 'the-key', tenant: 'acme.example' }
  const access = new EntraAccess(JSON.stringify({ ...printed, authorityHost: `${sandbox.origin}/azure` }))
  expect((await access.headers(Date.now()))[1]).toMatch(/^Bearer /)
  await sandbox.close()
})

test.each([
  ['a wrong secret', {}, 'top secret', /^Microsoft Entra ID gave no access token: invalid_client, AADSTS7000215: /],
  ['another audience', { scope: 'https://graph.microsoft.com/.default' }, 'the-key', /invalid_scope, AADSTS70011: /],
])('Entra ID refuses %s, and is told without the secret', async (_, more, secret, why) => {
  const sandbox = await startSandbox({ apiKey: 'the-key' })
  const error = await Promise.resolve(
    new EntraAccess(application(`${sandbox.origin}/azure`, secret, more)).headers(0),
  ).catch((refusal: Error) => refusal)
  expect((error as Error).message).toMatch(why)
  expect((error as Error).message).not.toContain('top secret')
  await sandbox.close()
})

test.each([
  ['{top secret', /no valid JSON/],
  ['{"tenantId":"top secret","clientId":"x"}', /needs tenantId, clientId and clientSecret/],
  [application('https://login.example', 'top secret', { tenantId: 'a/../b' }), /an id or a domain/],
  [application('top secret', 'x'), /authorityHost must be a URL/],
  [application('https://login.example', 'top secret', { scope: 1 }), /scope must be text/],
])('what is no application is refused without being told: %#', (secret, why) => {
  const make = () => new EntraAccess(secret)
  expect(make).toThrow(why)
  expect(make).not.toThrow(/secret"|top secret/)
})
