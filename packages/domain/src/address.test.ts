import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isPublic, isWithin, parseAddress, parseNetwork } from './address.ts'

test.each([
  ...[
    '1.1.1.1',
    '8.8.8.8',
    '93.184.215.14',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '169.253.255.255',
    '223.255.255.255',
  ],
  ...['2606:4700:4700::1111', '2a00:1450:4001:81b::200e', '2001:4860:4860::8888', '2600::'],
])('%s is public', (text) => {
  expect(isPublic(parseAddress(text)!)).toBe(true)
})

test.each([
  ['this network', '0.0.0.0', '0.1.2.3'],
  ['private', '10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
  ['shared', '100.64.0.1', '100.127.255.255'],
  ['loopback', '127.0.0.1', '127.255.255.254', '::1'],
  ['unspecified', '::'],
  ['link-local', '169.254.1.1', 'fe80::1', 'febf::1'],
  [
    'metadata',
    '169.254.169.254',
    '169.254.170.2',
    '100.100.100.200',
    '192.0.0.192',
    '168.63.129.16',
    'fd00:ec2::254',
    'fd20:ce::254',
  ],
  ['documentation', '192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1'],
  ['benchmarks', '198.18.0.1', '198.19.255.255', '2001:2::1'],
  ['multicast', '224.0.0.1', '239.255.255.255', 'ff02::1', 'ff0e::1'],
  ['reserved', '240.0.0.1', '255.255.255.255'],
  ['unique local', 'fc00::1', 'fdff::1'],
  ['site-local', 'fec0::1'],
  [
    'IPv4-mapped',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::FFFF:10.0.0.1',
    '0:0:0:0:0:ffff:169.254.169.254',
    '::ffff:8.8.8.8',
  ],
  ['IPv4-compatible', '::127.0.0.1', '::7f00:1'],
  ['IPv4-translated', '::ffff:0:127.0.0.1'],
  ['NAT64', '64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::1'],
  ['6to4', '2002:7f00:1::', '2002:a9fe:a9fe::1'],
  ['Teredo', '2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  ['ORCHID', '2001:10::1', '2001:20::1'],
  ['discard', '100::1'],
  ['segment routing', '5f00::1'],
])('what is for a special purpose is not public: %s', (_, ...texts) => {
  for (const text of texts) expect(isPublic(parseAddress(text)!), text).toBe(false)
})

describe('reading', () => {
  test('takes exactly the addresses that Node takes, but for zones', () => {
    const piece = fc.oneof(
      fc.nat(300).map(String),
      fc.nat(0x1ffff).map((n) => n.toString(16)),
      fc.constantFrom('', '0', '00', '1.2.3.4', 'g'),
    )
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join(':')),
      fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join('.')),
    )
    fc.assert(
      fc.property(text, (one) => {
        const address = parseAddress(one)
        expect(address === null ? 0 : address.bits === 32 ? 4 : 6, one).toBe(isIP(one))
      }),
      { numRuns: 2_000 },
    )
  })

  test('refuses what could mean two addresses', () => {
    for (const text of [
      '127.1',
      '0177.0.0.1',
      '0x7f.0.0.1',
      '2130706433',
      '127.0.0.01',
      'fe80::1%eth0',
      '1.2.3.4 ',
      '',
      ':',
      ':::',
      '1::2::3',
      '[::1]',
    ])
      expect(parseAddress(text), text).toBe(null)
  })

  test('knows a network, and what is within it', () => {
    const [ten, unique] = [parseNetwork('10.0.0.0/8')!, parseNetwork('fd00::/8')!]
    expect(isWithin(parseAddress('10.255.0.1')!, ten)).toBe(true)
    expect(isWithin(parseAddress('11.0.0.0')!, ten)).toBe(false)
    expect(isWithin(parseAddress('::ffff:10.0.0.1')!, ten)).toBe(false)
    expect(isWithin(parseAddress('fd12::')!, unique)).toBe(true)
    expect(isWithin(parseAddress('1.2.3.4')!, parseNetwork('0.0.0.0/0')!)).toBe(true)
    expect(parseNetwork('192.0.2.7')).toEqual({ address: parseAddress('192.0.2.7'), prefix: 32 })
    for (const text of [
      '10.0.0.1/8',
      '10.0.0.0/33',
      'fd00::/129',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
      '/8',
      'x',
    ])
      expect(parseNetwork(text), text).toBe(null)
  })
})
