import type { IncomingMessage } from 'node:http'
import { type Address, isWithin, type Network, parseAddress } from '@nemo/domain/address'

/**
 * Where a request comes from: the other end of its connection, or, where that is a proxy of ours, the last address in `x-forwarded-for` that isn't one. What
 * stands before that the client may have written himself. Null when it can't be read.
 */
export function clientAddress(request: IncomingMessage, trustedProxies: readonly Network[]): Address | null {
  let address = plain(request.socket.remoteAddress ?? '')
  if (trustedProxies.length === 0) return address
  const forwarded = String(request.headers['x-forwarded-for'] ?? '').split(',')
  while (address && trustedProxies.some((proxy) => isWithin(address!, proxy))) {
    const before = forwarded.pop()?.trim()
    if (!before) break
    address = plain(before)
  }
  return address
}

/** Without the zone of a link-local address, and an IPv4 address as itself, not as the IPv6 address that a socket for both has it as. */
function plain(text: string): Address | null {
  const address = parseAddress(text.split('%')[0]!)
  if (address?.bits !== 128 || address.value >> 32n !== 0xffffn) return address
  return { bits: 32, value: address.value & 0xffffffffn }
}
