import { isWithin, parseAddress, parseNetwork } from './address.ts'

/** Whether a credential may be called so. `sandbox` is ours: every start without a provider makes it anew. */
export function isCredentialName(text: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,62}$/.test(text) && text !== 'sandbox'
}

/** Where clouds keep what their machines may do, and no provider is. */
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10', '::ffff:169.254.0.0/112'].map((text) => parseNetwork(text)!)

/**
 * An address that a provider may be at, without a slash at its end; null for what is none. Private ones are the operator's to name: models run there. A secret in it would be shown, and a
 * query would be lost.
 */
export function readBaseUrl(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) return null
  const address = parseAddress(url.hostname.replace(/^\[|\]$/g, ''))
  if (address && LINK_LOCAL.some((network) => isWithin(address, network))) return null
  return text.trim().replace(/\/+$/, '')
}

const SECRET_LENGTH_MAX = 16_384

/** A provider's secret without the space around it: one line of visible characters, as a header carries it, or JSON. Null for what is neither. */
export function readProviderSecret(text: string): string | null {
  const secret = text.trim()
  if (secret === '' || secret.length > SECRET_LENGTH_MAX) return null
  return isJsonObject(secret) || /^[\x21-\x7e]+$/.test(secret) ? secret : null
}

function isJsonObject(text: string): boolean {
  if (!text.startsWith('{')) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
