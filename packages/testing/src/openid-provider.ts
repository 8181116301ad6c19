import { createHash, createSign, generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Who signs in next, and what is wrong with how it is vouched for. */
export interface Vouched {
  subject: string
  email: string
  emailVerified: boolean
  name: string
  fault?: 'signature' | 'unsigned' | 'nonce' | 'audience' | 'issuer' | 'expired'
}

export interface OpenIdProvider {
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  /** Whoever comes next is he. */
  vouched: Vouched
  close(): Promise<void>
}

/** An OpenID provider over HTTP that lets everyone in as whom the test says, and below /login and /api/v3 what GitHub has of OAuth. */
export async function startOpenIdProvider(): Promise<OpenIdProvider> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const clientId = 'nemo'
  const clientSecret = randomBytes(16).toString('hex')
  const codes = new Map<string, { challenge: string; nonce: string | null; redirectUri: string; vouched: Vouched }>()
  const tokens = new Map<string, Vouched>()

  const idToken = ({ subject, email, emailVerified, name, fault }: Vouched, nonce: string | null) => {
    const seconds = Math.floor(Date.now() / 1000)
    const claims = {
      iss: fault === 'issuer' ? 'https://somebody.example' : provider.url,
      aud: fault === 'audience' ? 'another' : clientId,
      sub: subject,
      iat: seconds,
      exp: fault === 'expired' ? seconds - 3600 : seconds + 300,
      nonce: fault === 'nonce' ? 'another' : nonce,
      email,
      email_verified: emailVerified,
      name,
    }
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    if (fault === 'unsigned') return `${part({ alg: 'none' })}.${part(claims)}.`
    const signed = `${part({ alg: 'RS256', kid: 'one' })}.${part(claims)}`
    const signature = createSign('RSA-SHA256')
      .update(signed)
      .sign(fault === 'signature' ? stranger : privateKey)
    return `${signed}.${signature.toString('base64url')}`
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, provider.url)
    const json = (value: unknown, status = 200) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return json({
          issuer: provider.url,
          authorization_endpoint: `${provider.url}/authorize`,
          token_endpoint: `${provider.url}/token`,
          jwks_uri: `${provider.url}/jwks`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
        })
      case '/jwks':
        return json({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }] })
      case '/authorize':
      case '/login/oauth/authorize': {
        const code = randomBytes(8).toString('hex')
        const redirectUri = url.searchParams.get('redirect_uri')!
        codes.set(code, {
          challenge: url.searchParams.get('code_challenge')!,
          nonce: url.searchParams.get('nonce'),
          redirectUri,
          vouched: { ...provider.vouched },
        })
        const back = new URL(redirectUri)
        back.searchParams.set('code', code)
        back.searchParams.set('state', url.searchParams.get('state')!)
        return response.writeHead(302, { location: back.href }).end()
      }
      case '/token':
      case '/login/oauth/access_token': {
        const form = new URLSearchParams(await textOf(request))
        const found = codes.get(form.get('code') ?? '')
        codes.delete(form.get('code') ?? '')
        const challenge = createHash('sha256')
          .update(form.get('code_verifier') ?? '')
          .digest('base64url')
        const isClient =
          request.headers.authorization === `Basic ${btoa(`${clientId}:${clientSecret}`)}` ||
          (form.get('client_id') === clientId && form.get('client_secret') === clientSecret)
        if (!found || challenge !== found.challenge || form.get('redirect_uri') !== found.redirectUri || !isClient)
          return json({ error: 'invalid_grant' }, 400)
        const token = randomBytes(16).toString('hex')
        tokens.set(token, found.vouched)
        const isOpenId = url.pathname === '/token'
        return json({
          access_token: token,
          token_type: 'bearer',
          ...(isOpenId && { id_token: idToken(found.vouched, found.nonce) }),
        })
      }
      case '/api/v3/user':
      case '/api/v3/user/emails': {
        const vouched = tokens.get(request.headers.authorization?.replace(/^bearer /i, '') ?? '')
        if (!vouched) return json({ message: 'Bad credentials' }, 401)
        const { subject, name, email, emailVerified } = vouched
        return url.pathname.endsWith('/user')
          ? json({ id: Number(subject), login: 'someone', name })
          : json([
              { email: 'other@example.com', primary: false, verified: true },
              { email, primary: true, verified: emailVerified },
            ])
      }
      default:
        return json({ error: 'not_found' }, 404)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const provider: OpenIdProvider = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    clientId,
    clientSecret,
    vouched: { subject: '1', email: 'someone@example.com', emailVerified: true, name: 'Someone' },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return provider
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}
