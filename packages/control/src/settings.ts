import { parseNetwork } from '@nemo/domain/address'
import { readStripeSettings, type StripeSettings } from './billing/stripe.ts'
import { readSignInProviders, type SignInProvider } from './federation/settings.ts'
import { DEFAULT_PASSWORD_COST, type PasswordCost } from './identity/passwords.ts'
import { type OutboundRules, STRICT } from './outbound/outbound.ts'

/** How the control plane behaves in this process. */
export interface ControlSettings {
  /** Where people reach it. Null: the address that it listens on. */
  readonly publicUrl: string | null
  /** Addresses or networks of proxies whose `x-forwarded-for` is believed. */
  readonly trustedProxies: readonly string[]
  /** Other origins whose pages may call with a token; never with a cookie. */
  readonly corsOrigins: readonly string[]
  /** Calls that one address, or one user, may make of this process in a minute. */
  readonly callsPerMinute: number
  readonly passwordCost: PasswordCost
  /** Which URLs of tenants are called: public addresses, by https, and what the operator lets through besides. */
  readonly outbound: OutboundRules
  /** Null where credits come by grants only. */
  /** Where else people may sign in, for all of the platform. */
  readonly signInProviders: readonly SignInProvider[]
  readonly stripe: StripeSettings | null
}

export const DEFAULT_SETTINGS: ControlSettings = {
  publicUrl: null,
  trustedProxies: [],
  corsOrigins: [],
  callsPerMinute: 1_200,
  passwordCost: DEFAULT_PASSWORD_COST,
  outbound: STRICT,
  signInProviders: [],
  stripe: null,
}

/**
 * Reads NEMO_PUBLIC_URL, NEMO_TRUSTED_PROXIES, NEMO_CORS_ORIGINS, NEMO_OUTBOUND_NETWORKS, NEMO_OUTBOUND_HTTP, and STRIPE_SECRET_KEY with what
 * belongs to it. Throws an Error that says which of them is wrong.
 */
export function readControlSettings(env: Record<string, string | undefined>): ControlSettings {
  const publicUrl = env.NEMO_PUBLIC_URL?.trim() || null
  return {
    ...DEFAULT_SETTINGS,
    publicUrl: publicUrl === null ? null : originAndPath(publicUrl, 'NEMO_PUBLIC_URL'),
    trustedProxies: listed(env.NEMO_TRUSTED_PROXIES),
    corsOrigins: listed(env.NEMO_CORS_ORIGINS).map(
      (origin) => new URL(originAndPath(origin, 'NEMO_CORS_ORIGINS')).origin,
    ),
    signInProviders: readSignInProviders(env),
    stripe: readStripeSettings(env),
    outbound: {
      allowHttp: env.NEMO_OUTBOUND_HTTP?.trim() === '1',
      allowedNetworks: listed(env.NEMO_OUTBOUND_NETWORKS).map((text) => {
        const network = parseNetwork(text)
        if (!network) throw new Error(`NEMO_OUTBOUND_NETWORKS must be networks like 10.1.0.0/16, not "${text}"`)
        return network
      }),
    },
  }
}

function originAndPath(text: string, variable: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new Error(`${variable} must be like https://nemo.example.com, not "${text}"`)
  const { origin, pathname } = new URL(text)
  return origin + pathname.replace(/\/+$/, '')
}

function listed(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}
