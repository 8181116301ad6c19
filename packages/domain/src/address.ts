/** An IP address as a number of 32 or 128 bits. */
export interface Address {
  readonly bits: 32 | 128
  readonly value: bigint
}

export interface Network {
  readonly address: Address
  readonly prefix: number
}

/** Reads an address in the one usual way: four decimal numbers, or RFC 4291's text with or without an IPv4 end. Null for anything else, zones and octal numbers included. */
export function parseAddress(text: string): Address | null {
  if (!text.includes(':')) {
    const value = parseFour(text)
    return value === null ? null : { bits: 32, value }
  }
  const value = parseEight(text)
  return value === null ? null : { bits: 128, value }
}

function parseFour(text: string): bigint | null {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n)
}

function parseEight(text: string): bigint | null {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted) {
    const four = parseFour(dotted[2]!)
    return four === null
      ? null
      : parseEight(`${dotted[1]}${(four >> 16n).toString(16)}:${(four & 0xffffn).toString(16)}`)
  }
  const halves = text.split('::')
  if (halves.length > 2) return null
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const given = [...head!, ...(tail ?? [])]
  if (!given.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null
  if (tail === undefined ? given.length !== 8 : given.length > 7) return null
  const groups = [...head!, ...Array<string>(8 - given.length).fill('0'), ...(tail ?? [])]
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n)
}

/** Reads `10.0.0.0/8` or `fd00::/8`; an address alone is the network of itself. Null when it is none, or has bits beyond its prefix. */
export function parseNetwork(text: string): Network | null {
  const [base, length, ...more] = text.split('/')
  const address = parseAddress(base!)
  if (!address || more.length > 0) return null
  if (length === undefined) return { address, prefix: address.bits }
  const prefix = Number(length)
  if (!/^\d{1,3}$/.test(length) || prefix > address.bits) return null
  return (address.value & ((1n << BigInt(address.bits - prefix)) - 1n)) === 0n ? { address, prefix } : null
}

export function isWithin(address: Address, network: Network): boolean {
  const rest = BigInt(network.address.bits - network.prefix)
  return address.bits === network.address.bits && address.value >> rest === network.address.value >> rest
}

/**
 * Whether an address is one of the public internet. Of IPv6 only global unicast is, so that every way to write an IPv4 address in it (mapped, NAT64) isn't; of
 * both, nothing of IANA's registries of special purposes (iana.org/assignments/iana-ipv4-special-registry, iana-ipv6-special-registry).
 */
export function isPublic(address: Address): boolean {
  if (address.bits === 128 && !isWithin(address, GLOBAL_UNICAST)) return false
  return !SPECIAL.some((network) => isWithin(address, network))
}

const GLOBAL_UNICAST = parseNetwork('2000::/3')!

const SPECIAL = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // shared by a carrier's customers; Alibaba's metadata
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local; most clouds' metadata
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments; Oracle's metadata
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // AMT
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  '168.63.129.16', // Azure's host, at a public address
  '2001::/23', // protocol assignments: Teredo, ORCHID, benchmarks
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4, which contains IPv4 addresses
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
].map((text) => parseNetwork(text)!)
