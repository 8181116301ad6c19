import { describe, expect, test } from 'vitest'
import { type AwsWorld, awsKeys, readAwsSecret } from './aws-credentials.ts'

const STATIC = 'AKIAIOSFODNN7EXAMPLE:abc/def'
const ROLE = 'arn:aws:iam::1:role/r'
const START = Date.parse('2026-11-21T00:00:00Z')
const MINUTE = 60_000

describe('a stored secret', () => {
  test.each([
    [STATIC, { kind: 'key', role: null, key: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'abc/def' } }],
    ['ASIAIOSFODNN7EXAMPLE:abc:to:ken\n', { kind: 'key', key: { sessionToken: 'to:ken' } }],
    ['bedrock-api-key-abc', { kind: 'bearer', token: 'bedrock-api-key-abc' }],
    ['ABSKQmVkcm9ja0FQSUtleS1hYmM=', { kind: 'bearer' }],
    [
      JSON.stringify({ accessKeyId: 'AKIA', secretAccessKey: 's', roleArn: ROLE, externalId: 'x' }),
      { kind: 'key', role: { arn: ROLE, externalId: 'x', sessionName: null }, key: { sessionToken: null } },
    ],
    ['{"profile":"work"}', { kind: 'profile', name: 'work', role: null }],
    [
      JSON.stringify({ webIdentityTokenFile: '/var/token', roleArn: ROLE, sessionName: 'nemo' }),
      { kind: 'web-identity', tokenFile: '/var/token', role: { sessionName: 'nemo' } },
    ],
  ])('is read: %s', (secret, read) => {
    expect(readAwsSecret(secret)).toMatchObject(read)
  })

  test.each([
    '',
    '{',
    '{"accessKeyId":"top-secret"}',
    '{"accessKeyId":"AKIA","secretAccessKey":{"top-secret":1}}',
    '{"webIdentityTokenFile":"top-secret"}',
    '{"access_key":"top-secret"}',
  ])('that is none is refused without being told: %s', (secret) => {
    const refused = () => readAwsSecret(secret)
    expect(refused).toThrow(/AWS credential/)
    expect(refused).not.toThrow(/top-secret/)
  })
})

interface Asked {
  readonly form: Record<string, string>
  readonly authorization: string | undefined
  readonly token: string | undefined
}

/** A world with these files, in which the token service gives out keys that last an hour, or does what `answer` says. */
function worldOf(files: Record<string, string> = {}, answer?: (count: number) => { status: number; text: string }) {
  const asked: Asked[] = []
  let now = START
  const world: AwsWorld = {
    async fetch(_, { body, headers }) {
      asked.push({
        form: Object.fromEntries(new URLSearchParams(body)),
        authorization: headers.authorization,
        token: headers['x-amz-security-token'],
      })
      const { status, text } = answer?.(asked.length) ?? { status: 200, text: keysXml(asked.length, now) }
      return { ok: status === 200, status, text: async () => text }
    },
    async readFile(path) {
      const text = files[path]
      if (text === undefined) throw new Error(`ENOENT: ${path}`)
      return text
    },
    environment: { HOME: '/home/nemo', AWS_ACCESS_KEY_ID: 'AKIAENVIRONMENT', AWS_SECRET_ACCESS_KEY: 'e' },
  }
  return { asked, world, at: (ms: number) => (now = START + ms), files }
}

function keysXml(count: number, now: number): string {
  const expires = new Date(now + 60 * MINUTE).toISOString()
  return `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA${count}</AccessKeyId><SecretAccessKey>s${count}</SecretAccessKey><SessionToken>t${count}</SessionToken><Expiration>${expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
}

function keysOf(secret: object | string, world: AwsWorld) {
  const read = readAwsSecret(typeof secret === 'string' ? secret : JSON.stringify(secret))
  if (read.kind === 'bearer') throw new TypeError('a bearer token has no keys')
  return awsKeys(read, 'eu-west-1', { world })
}

const temporary = (count: number) => ({
  accessKeyId: `ASIA${count}`,
  secretAccessKey: `s${count}`,
  sessionToken: `t${count}`,
})

test('a key that was stored is at hand', () => {
  const { world, asked } = worldOf()
  expect(keysOf(STATIC, world).key(START)).toMatchObject({ accessKeyId: 'AKIAIOSFODNN7EXAMPLE' })
  expect(asked).toEqual([])
})

describe('a role', () => {
  const secret = { accessKeyId: 'AKIA', secretAccessKey: 's', roleArn: ROLE, externalId: 'x' }

  test('is assumed once for all who wait, signed for the token service', async () => {
    const { world, asked } = worldOf()
    const keys = keysOf(secret, world)
    const all = await Promise.all([keys.key(START), keys.key(START), keys.key(START)])
    expect(all).toEqual([temporary(1), temporary(1), temporary(1)])
    expect(keys.key(START + 54 * MINUTE)).toEqual(temporary(1))
    expect(asked).toHaveLength(1)
    expect(asked[0]!.form).toEqual({
      ...{ Action: 'AssumeRole', Version: '2011-06-15', RoleArn: ROLE, ExternalId: 'x' },
      RoleSessionName: 'nemo-router',
    })
    expect(asked[0]!.authorization).toContain('Credential=AKIA/20261121/eu-west-1/sts/aws4_request')
  })

  test('is renewed before its keys end, while the old ones serve on', async () => {
    const { world, asked, at } = worldOf()
    const keys = keysOf(secret, world)
    await keys.key(START)
    at(56 * MINUTE)
    expect(keys.key(START + 56 * MINUTE)).toEqual(temporary(1))
    expect(keys.key(START + 56 * MINUTE)).toEqual(temporary(1))
    await settled()
    expect(keys.key(START + 56 * MINUTE)).toEqual(temporary(2))
    expect(asked).toHaveLength(2)
  })

  test('whose keys have ended is waited for', async () => {
    const { world, at } = worldOf()
    const keys = keysOf(secret, world)
    await keys.key(START)
    at(61 * MINUTE)
    expect(await keys.key(START + 61 * MINUTE)).toEqual(temporary(2))
  })

  test('that is refused is told by the refusal’s name, and asked for again', async () => {
    const refusal =
      '<ErrorResponse><Error><Code>AccessDenied</Code><Message>top-secret</Message></Error></ErrorResponse>'
    const { world } = worldOf({}, (count) =>
      count === 1 ? { status: 403, text: refusal } : { status: 200, text: keysXml(count, START) },
    )
    const keys = keysOf(secret, world)
    await expect(keys.key(START)).rejects.toThrow(/^the role could not be assumed: AccessDenied$/)
    expect(await keys.key(START)).toEqual(temporary(2))
  })

  test('whose renewal fails serves on until its keys end', async () => {
    const { world } = worldOf({}, (count) =>
      count === 1 ? { status: 200, text: keysXml(1, START) } : { status: 500, text: '' },
    )
    const keys = keysOf(secret, world)
    await keys.key(START)
    expect(keys.key(START + 57 * MINUTE)).toEqual(temporary(1))
    await settled()
    await expect(keys.key(START + 59.5 * MINUTE)).rejects.toThrow('the role could not be assumed: 500')
  })

  test('is assumed by a web identity’s token, as its file has it, and unsigned', async () => {
    const { world, asked, at, files } = worldOf({ '/var/token': 'first\n' })
    const keys = keysOf({ webIdentityTokenFile: '/var/token', roleArn: ROLE }, world)
    expect(await keys.key(START)).toEqual(temporary(1))
    files['/var/token'] = 'second\n'
    at(61 * MINUTE)
    await keys.key(START + 61 * MINUTE)
    expect(asked.map(({ form }) => [form.Action, form.WebIdentityToken])).toEqual([
      ['AssumeRoleWithWebIdentity', 'first'],
      ['AssumeRoleWithWebIdentity', 'second'],
    ])
    expect(asked[0]!.authorization).toBeUndefined()
  })
})

/** Till whatever was promised has come about. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('a profile', () => {
  const CONFIG = `
# What follows is nobody's.
[default]
region = eu-west-1
[profile work]
role_arn = ${ROLE}
source_profile = base
role_session_name = me ; and nobody else
s3 =
  max_concurrent_requests = 20
[profile chained]
role_arn=arn:aws:iam::2:role/far
source_profile=work
[profile selfmade]
role_arn = ${ROLE}
source_profile = selfmade
aws_access_key_id = AKIASELF
aws_secret_access_key = x
[profile round]
role_arn = ${ROLE}
source_profile = about
[profile about]
role_arn = ${ROLE}
source_profile = round
[profile environment]
role_arn = ${ROLE}
credential_source = Environment
[profile pod]
role_arn = ${ROLE}
web_identity_token_file = /var/token
[profile person]
sso_session = corp
[profile empty]
region = eu-west-1
`
  const CREDENTIALS = `[default]\r\naws_access_key_id = AKIADEFAULT\r\naws_secret_access_key = d=/+\r\n\r\n[base]\naws_access_key_id=AKIABASE\naws_secret_access_key=b\naws_session_token=t\n`
  const FILES = { '/home/nemo/.aws/config': CONFIG, '/home/nemo/.aws/credentials': CREDENTIALS, '/var/token': 'jwt' }

  test('has keys of its own', async () => {
    const { world } = worldOf({ ...FILES })
    expect(await keysOf({ profile: 'default' }, world).key(START)).toEqual({
      ...{ accessKeyId: 'AKIADEFAULT', secretAccessKey: 'd=/+', sessionToken: null },
    })
    expect(await keysOf({ profile: 'base' }, world).key(START)).toMatchObject({ sessionToken: 't' })
  })

  test('has a role, assumed by another profile, and that by another again', async () => {
    const { world, asked } = worldOf({ ...FILES })
    expect(await keysOf({ profile: 'chained' }, world).key(START)).toEqual(temporary(2))
    expect(asked.map(({ form, token }) => [form.RoleArn, form.RoleSessionName, token])).toEqual([
      [ROLE, 'me', 't'],
      ['arn:aws:iam::2:role/far', 'nemo-router', 't1'],
    ])
    expect(asked[0]!.authorization).toContain('AKIABASE')
    expect(asked[1]!.authorization).toContain('ASIA1')
  })

  test.each([
    ['selfmade', 'AKIASELF'],
    ['environment', 'AKIAENVIRONMENT'],
  ])('has a role that is assumed with %s keys', async (profile, id) => {
    const { world, asked } = worldOf({ ...FILES })
    expect(await keysOf({ profile }, world).key(START)).toEqual(temporary(1))
    expect(asked[0]!.authorization).toContain(id)
  })

  test('has a web identity', async () => {
    const { world, asked } = worldOf({ ...FILES })
    await keysOf({ profile: 'pod' }, world).key(START)
    expect(asked[0]!.form).toMatchObject({ WebIdentityToken: 'jwt' })
  })

  test('may be that with which a role of the credential is assumed', async () => {
    const { world, asked } = worldOf({ ...FILES })
    await keysOf({ profile: 'default', roleArn: ROLE }, world).key(START)
    expect(asked[0]!.authorization).toContain('AKIADEFAULT')
  })

  test('is read again after five minutes, and what was assumed stays while it says the same', async () => {
    const { world, asked, files } = worldOf({ ...FILES })
    const keys = keysOf({ profile: 'work' }, world)
    const own = keysOf({ profile: 'default' }, world)
    await Promise.all([keys.key(START), own.key(START)])
    await keys.key(START + 6 * MINUTE)
    expect(asked).toHaveLength(1)
    files['/home/nemo/.aws/credentials'] = CREDENTIALS.replace('AKIADEFAULT', 'AKIANEW')
    expect(await own.key(START + 4 * MINUTE)).toMatchObject({ accessKeyId: 'AKIADEFAULT' })
    expect(await own.key(START + 6 * MINUTE)).toMatchObject({ accessKeyId: 'AKIANEW' })
  })

  test.each([
    ['nobody', /no profile "nobody"/],
    ['person', /has sso_session, which a server can’t use/],
    ['round', /is assumed from itself/],
    ['empty', /has no access key/],
  ])('that can’t be used is refused by its name: %s', async (profile, message) => {
    const { world } = worldOf({ ...FILES })
    await expect(keysOf({ profile }, world).key(START)).rejects.toThrow(message)
  })
})
