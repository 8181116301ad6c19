import Stripe from 'stripe'

export interface StripeSettings {
  readonly secretKey: string
  /** What Stripe signs its events with. */
  readonly webhookSecret: string
  /** Another Stripe than Stripe's: an emulator. */
  readonly apiBase: string | null
}

/** Reads STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET and STRIPE_API_BASE; null without a key: then credits come by grants only. Throws where half is missing. */
export function readStripeSettings(env: Record<string, string | undefined>): StripeSettings | null {
  const secretKey = env.STRIPE_SECRET_KEY?.trim()
  if (!secretKey) return null
  const webhookSecret = env.STRIPE_WEBHOOK_SECRET?.trim()
  // Credits would be paid for and never arrive.
  if (!webhookSecret) throw new Error('STRIPE_SECRET_KEY is set, so STRIPE_WEBHOOK_SECRET must be too')
  const apiBase = env.STRIPE_API_BASE?.trim() || null
  if (apiBase !== null && (!/^https?:\/\//.test(apiBase) || !URL.canParse(apiBase)))
    throw new Error(`STRIPE_API_BASE must be like http://127.0.0.1:12111, not "${apiBase}"`)
  return { secretKey, webhookSecret, apiBase }
}

const TIMEOUT_MS = 20_000

/** Stripe's own client. A request that got no answer is sent again under the same key, which Stripe carries out once. */
export function openStripe({ secretKey, apiBase }: StripeSettings): Stripe {
  const base = apiBase === null ? null : new URL(apiBase)
  return new Stripe(secretKey, {
    ...(base && {
      host: base.hostname,
      port: base.port || (base.protocol === 'https:' ? 443 : 80),
      protocol: base.protocol === 'https:' ? 'https' : 'http',
    }),
    maxNetworkRetries: 2,
    timeout: TIMEOUT_MS,
    telemetry: false,
  })
}
