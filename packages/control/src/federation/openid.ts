import * as oauth from 'openid-client'
import type { Outbound } from '../outbound/outbound.ts'
import type { SignInProvider } from './settings.ts'

/** Who somebody says he is, vouched for by a provider. */
export interface Claimant {
  readonly subject: string
  readonly email: string | null
  /** Null where the provider doesn't say. */
  readonly emailVerified: boolean | null
  readonly name: string | null
}

/** What a sign-in was begun with, and must come back with: against forged and replayed answers. */
export interface Checks {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** A place to sign in by the authorization code flow with PKCE. Both throw when the provider can't be reached, or answers with what isn't right. */
export interface Door {
  begin(redirectUri: string): Promise<{ url: string; checks: Checks }>
  finish(currentUrl: URL, checks: Checks): Promise<Claimant>
}

const TIMEOUT_MS = 10_000
const BYTES_MAX = 256 * 1024

/** An OpenID provider, as OpenID Connect Core 1.0 and Discovery 1.0 describe it. Signatures of ID tokens are checked. */
export function openIdDoor(
  { issuer, clientId, clientSecret }: { issuer: string; clientId: string; clientSecret: string },
  outbound: Outbound | null,
): Door {
  const configure = () =>
    oauth.discovery(new URL(issuer), clientId, clientSecret, clientAuthentication(clientSecret), {
      timeout: TIMEOUT_MS / 1000,
      execute: [oauth.enableNonRepudiationChecks, ...(issuer.startsWith('http:') ? [oauth.allowInsecureRequests] : [])],
      ...(outbound && { [oauth.customFetch]: guardedFetch(outbound) }),
    })
  return {
    begin: async (redirectUri) => begin(await configure(), redirectUri, 'openid email profile'),
    async finish(currentUrl, { state, nonce, verifier }) {
      const tokens = await oauth.authorizationCodeGrant(await configure(), currentUrl, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      })
      const { sub, email, email_verified, name } = tokens.claims()!
      return {
        subject: sub,
        email: text(email),
        emailVerified: email_verified === undefined ? null : email_verified === true || email_verified === 'true',
        name: text(name),
      }
    },
  }
}

/** In the body where the provider says that it takes that; else in the header, which each has to take (OpenID Connect Discovery 1.0, section 3). */
function clientAuthentication(secret: string): oauth.ClientAuth {
  const [inBody, inHeader] = [oauth.ClientSecretPost(secret), oauth.ClientSecretBasic(secret)]
  return (server, ...rest) => {
    const takesBody = server.token_endpoint_auth_methods_supported?.includes('client_secret_post')
    return (takesBody ? inBody : inHeader)(server, ...rest)
  }
}

/** GitHub, which speaks OAuth 2.0 and no OpenID: who it is, its API says (docs.github.com, "Authorizing OAuth apps", "REST API endpoints for users" and "for emails"). */
export function gitHubDoor({ url, clientId, clientSecret }: SignInProvider): Door {
  const api = url === 'https://github.com' ? 'https://api.github.com' : `${url}/api/v3`
  const config = new oauth.Configuration(
    {
      issuer: url,
      authorization_endpoint: `${url}/login/oauth/authorize`,
      token_endpoint: `${url}/login/oauth/access_token`,
    },
    clientId,
    clientSecret,
  )
  config.timeout = TIMEOUT_MS / 1000
  if (url.startsWith('http:')) oauth.allowInsecureRequests(config)
  return {
    begin: (redirectUri) => begin(config, redirectUri, 'read:user user:email'),
    async finish(currentUrl, { state, verifier }) {
      const { access_token } = await oauth.authorizationCodeGrant(config, currentUrl, {
        expectedState: state,
        pkceCodeVerifier: verifier,
      })
      const ask = async (path: string) => {
        const answer = await oauth.fetchProtectedResource(config, access_token, new URL(api + path), 'GET')
        if (!answer.ok) throw new Error(`GitHub answered ${answer.status}`)
        return (await answer.json()) as unknown
      }
      const user = (await ask('/user')) as { id: number; login: string; name: string | null }
      const emails = (await ask('/user/emails')) as { email: string; primary: boolean; verified: boolean }[]
      const primary = emails.find((one) => one.primary)
      return {
        subject: String(user.id),
        email: text(primary?.email),
        emailVerified: primary?.verified === true,
        name: text(user.name) ?? text(user.login),
      }
    },
  }
}

async function begin(config: oauth.Configuration, redirectUri: string, scope: string): ReturnType<Door['begin']> {
  const checks = {
    state: oauth.randomState(),
    nonce: oauth.randomNonce(),
    verifier: oauth.randomPKCECodeVerifier(),
  }
  const url = oauth.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope,
    state: checks.state,
    nonce: checks.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(checks.verifier),
    code_challenge_method: 'S256',
  })
  return { url: url.href, checks }
}

/** What a tenant named is called as what tenants name is: never in the operator's network, and bounded. */
function guardedFetch(outbound: Outbound): oauth.CustomFetch {
  return async (url, { method, headers, body }) => {
    const answer = await outbound.request({
      url,
      method: method === 'POST' ? 'POST' : 'GET',
      headers,
      ...(body != null && { body: String(body) }),
      timeoutMs: TIMEOUT_MS,
      bytesMax: BYTES_MAX,
    })
    return new Response(answer.body.length > 0 ? new Uint8Array(answer.body) : null, {
      status: answer.status,
      headers: answer.headers,
    })
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 200) : null
}
