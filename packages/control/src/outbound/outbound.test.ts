import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseNetwork } from '@nemo/domain/address'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Outbound, type OutboundAnswer, type OutboundRules, type Resolve, STRICT } from './outbound.ts'

/** Two addresses of this machine: one that stands for the public internet, and one for what is behind the operator's door. */
const OUTSIDE = '127.0.0.2'
const INSIDE = '127.0.0.1'
const RULES: OutboundRules = { allowHttp: true, allowedNetworks: [parseNetwork(OUTSIDE)!] }

let port: number
const servers: Server[] = []
/** Who was called, in order. */
let called: string[] = []
let answer: (request: IncomingMessage, response: ServerResponse) => void

beforeAll(async () => {
  for (const host of [OUTSIDE, INSIDE]) {
    const server = createServer((request, response) => {
      called.push(host)
      answer(request, response)
    })
    servers.push(server)
    server.listen(host === OUTSIDE ? 0 : port, host)
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }
})
afterAll(() => {
  for (const server of servers) server.close().closeAllConnections()
})

function outbound(resolve: Resolve, rules = RULES): Outbound {
  called = []
  answer = (_, response) => response.end('fine')
  const made = new Outbound(rules, resolve)
  onTestFinished(() => made.close())
  return made
}

const post = (to: Outbound, url = `http://hook.test:${port}/x`, timeoutMs = 5_000): Promise<OutboundAnswer> =>
  to.request({ url, method: 'POST', body: '{}', timeoutMs, bytesMax: 1_024 })

test('an address is called that is let through, by its name, which is looked up once', async () => {
  let lookups = 0
  const to = outbound(async () => {
    lookups++
    return [OUTSIDE]
  })
  let host: string | undefined
  answer = (request, response) => {
    host = request.headers.host
    response.setHeader('retry-after', '7').end('fine')
  }
  expect(await post(to)).toMatchObject({
    status: 200,
    body: Buffer.from('fine'),
    cut: false,
    headers: { 'retry-after': '7' },
  })
  expect([called, lookups, host]).toEqual([[OUTSIDE], 1, `hook.test:${port}`])
})

test.each([
  ['loopback', [INSIDE]],
  ['loopback, beside one that is let through', [OUTSIDE, INSIDE]],
  ['loopback, mapped into IPv6', [`::ffff:${INSIDE}`]],
  ['loopback of IPv6', ['::1']],
  ['private', ['10.0.0.1']],
  ['shared', ['100.64.0.1']],
  ['link-local, with a zone', ['fe80::1%lo']],
  ['a cloud’s metadata', ['169.254.169.254']],
  ['NAT64', ['64:ff9b::7f00:1']],
  ['multicast', ['224.0.0.1']],
  ['no address', ['localhost']],
  ['nothing', []],
])('a name is not called that resolves to %s', async (_, addresses) => {
  await expect(post(outbound(async () => addresses))).rejects.toThrow(/not public|no address/)
  expect(called).toEqual([])
})

test('a name that was public when it was checked and is private when it is called again is not called (DNS rebinding)', async () => {
  const answers = [[OUTSIDE], [INSIDE], [OUTSIDE], [INSIDE, OUTSIDE]]
  const to = outbound(async () => answers.shift()!)
  to.check(`http://hook.test:${port}/x`)
  expect((await post(to)).status).toBe(200)
  await expect(post(to)).rejects.toThrow('not public')
  expect((await post(to)).status).toBe(200)
  await expect(post(to)).rejects.toThrow('not public')
  expect(called).toEqual([OUTSIDE, OUTSIDE])
  expect(answers).toEqual([])
})

test.each([
  ['http://127.0.0.1:8080/'],
  ['http://127.1:8080/'],
  ['http://2130706433:8080/'],
  ['http://0x7f000001:8080/'],
  ['http://0177.0.0.1:8080/'],
  ['http://127.0.0.1.:8080/'],
  ['http://１２７.0.0.1:8080/'],
  ['http://[::1]:8080/'],
  ['http://[::ffff:127.0.0.1]:8080/'],
  ['http://[0:0:0:0:0:ffff:7f00:1]:8080/'],
  ['http://0.0.0.0:8080/'],
  ['http://169.254.169.254/latest/meta-data/'],
])('an address in the URL itself is refused before anything is done, however it is written: %s', async (url) => {
  const to = outbound(async () => expect.fail('looked up'))
  expect(() => to.check(url)).toThrow('not public')
  await expect(post(to, url)).rejects.toMatchObject({ refused: true })
})

test.each([
  ['not a URL', 'hook.test', /not a URL/],
  ['another protocol', 'ftp://hook.test/', /only https/],
  ['a file', 'file:///etc/passwd', /only https/],
  ['http', 'http://hook.test/', /only https/],
  ['a password', 'https://user:pass@hook.test/', /password/],
  ['a port of mail', 'https://hook.test:25/', /port 25/],
  ['the port of http', 'https://hook.test:80/', /port 80/],
])('a URL is refused with %s', (_, url, why) => {
  expect(() => outbound(async () => [], STRICT).check(url)).toThrow(why)
})

test('a redirect is an answer, and leads nowhere', async () => {
  const to = outbound(async () => [OUTSIDE])
  answer = (_, response) => response.writeHead(307, { location: `http://${INSIDE}:${port}/` }).end()
  expect(await post(to)).toMatchObject({ status: 307 })
  expect(called).toEqual([OUTSIDE])
})

test('an answer without end is cut off', async () => {
  const to = outbound(async () => [OUTSIDE])
  const closed = new Promise((resolve) => {
    answer = (_, response) => {
      const more = () => {
        while (response.write('x'.repeat(65_536)));
      }
      response.on('drain', more).on('close', resolve)
      more()
    }
  })
  expect(await post(to)).toMatchObject({ status: 200, cut: true, body: Buffer.from('x'.repeat(1_024)) })
  await closed
})

test.each([
  ['that doesn’t begin', () => {}],
  ['that doesn’t end', (_: IncomingMessage, response: ServerResponse) => response.write('x')],
  [
    'that drips',
    (_: IncomingMessage, response: ServerResponse) => {
      const timer = setInterval(() => response.write('x'), 10)
      response.on('close', () => clearInterval(timer))
    },
  ],
])('an answer %s is given up in time', async (_, slow) => {
  const to = outbound(async () => [OUTSIDE])
  answer = slow
  await expect(post(to, undefined, 200)).rejects.toThrow('no answer within 0.2 seconds')
})

test('a name whose look-up doesn’t end is given up in time', async () => {
  let end = (_: string[]) => {}
  const to = outbound(() => new Promise((resolve) => (end = resolve)))
  await expect(post(to, undefined, 200)).rejects.toThrow('no answer')
  end([])
})

test('headers without end are a failure', async () => {
  const to = outbound(async () => [OUTSIDE])
  answer = (_, response) => response.setHeader('x', 'y'.repeat(40_000)).end()
  await expect(post(to)).rejects.toThrow('headers')
})

test('a failure says what it was and nothing of what is behind the name', async () => {
  const to = outbound(async () => [OUTSIDE])
  const failure = await post(to, 'http://hook.test:1025/').catch((error) => error)
  expect(failure).toMatchObject({ message: 'the connection was refused', refused: false })
  const tls = await post(to, `https://hook.test:${port}/`).catch((error) => error)
  expect(tls.message).toMatch(/^TLS failed/)
})
