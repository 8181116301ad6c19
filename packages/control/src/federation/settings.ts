/** Somewhere that people have accounts, with the client that the operator registered there. */
export interface SignInProvider {
  readonly id: 'google' | 'github'
  readonly clientId: string
  readonly clientSecret: string
  /** Its issuer, or for GitHub its address: another for GitHub Enterprise, and in tests. */
  readonly url: string
}

const URLS = { google: 'https://accounts.google.com', github: 'https://github.com' } as const

/** Reads GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, GOOGLE_ISSUER, GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET and GITHUB_URL. Throws where half is missing. */
export function readSignInProviders(env: Record<string, string | undefined>): SignInProvider[] {
  return (['google', 'github'] as const).flatMap((id) => {
    const name = id.toUpperCase()
    const clientId = env[`${name}_CLIENT_ID`]?.trim()
    const clientSecret = env[`${name}_CLIENT_SECRET`]?.trim()
    if (!clientId && !clientSecret) return []
    if (!clientId || !clientSecret) throw new Error(`${name}_CLIENT_ID and ${name}_CLIENT_SECRET go together`)
    const url = env[id === 'google' ? 'GOOGLE_ISSUER' : 'GITHUB_URL']?.trim() || URLS[id]
    return [{ id, clientId, clientSecret, url: url.replace(/\/+$/, '') }]
  })
}
