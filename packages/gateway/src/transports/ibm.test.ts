import { startSandbox } from '@nemo/sandbox/sandbox'
import { expect, test } from 'vitest'
import { isAccessToken } from './access-token.ts'
import { IbmAccess } from './ibm.ts'

const keyFile = (origin: string, apikey: string) =>
  JSON.stringify({ name: 'nemo', apikey, token_uri: `${origin}/ibm/identity/token` })

test('an API key becomes a token, once for all who wait, and the model gateway lets it in', async () => {
  const sandbox = await startSandbox({ apiKey: 'the-key' })
  const access = new IbmAccess(keyFile(sandbox.origin, 'the-key'))
  const now = Date.now()
  const [one, two] = await Promise.all([access.headers(now), access.headers(now)])
  expect(two).toBe(one)
  expect(access.headers(now + 50 * 60_000)).toBe(one)
  expect(sandbox.stats().requests).toBe(1)
  const ask = (authorization: string) =>
    fetch(`${sandbox.origin}/ibm/ml/gateway/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization },
      body: JSON.stringify({ model: 'sandbox-chat', messages: [{ role: 'user', content: 'Hi.' }] }),
    })
  expect((await ask(one[1]!)).status).toBe(200)
  expect((await ask('Bearer the-key')).status).toBe(401)
  await sandbox.close()
})

test('what IBM refuses is told without the secret', async () => {
  const sandbox = await startSandbox({ apiKey: 'the-key' })
  const access = new IbmAccess(keyFile(sandbox.origin, 'top secret'))
  await expect(access.headers(0)).rejects.toThrow(
    /^IBM Cloud gave no access token: BXNIM0415E, Provided API key could not be found\.$/,
  )
  await sandbox.close()
})

test.each([
  ['', /is empty/],
  ['{top secret', /no valid JSON/],
  ['{"name":"top secret"}', /needs apikey/],
  ['{"apikey":"top secret","token_uri":1}', /token_uri must be text/],
])('what is no key is refused without being told: %#', (secret, message) => {
  const error = (() => {
    try {
      return new IbmAccess(secret)
    } catch (refusal) {
      return refusal
    }
  })()
  expect((error as Error).message).toMatch(message)
  expect((error as Error).message).not.toContain('secret')
})

test('a token is told from a key', () => {
  expect(['eyJraWQi.eyJpYW0i.c2ln', 'an-api-key', 'eyJnothing', '{"apikey":"x"}'].map(isAccessToken)).toEqual([
    true,
    false,
    false,
    false,
  ])
})
