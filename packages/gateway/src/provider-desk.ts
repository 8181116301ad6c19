import { fillBaseUrl, type Provider } from '@nemo/codec/provider'
import { PROVIDERS } from '@nemo/codec/providers'
import { maskText } from '@nemo/domain/mask-secrets'
import { request } from 'undici'
import { hideSecret } from './snapshot/hide-secret.ts'
import { type Upstream, upstreamWith } from './snapshot/upstream.ts'

/** A credential before it is sealed. */
interface ClearCredential {
  readonly name: string
  readonly provider: string
  readonly baseUrl: string | null
  readonly settings: Readonly<Record<string, string>>
  readonly secret: string | null
}

interface Tested {
  readonly outcome: 'works' | 'refused' | 'unreachable' | 'unclear'
  readonly message: string
  readonly status: number | null
  readonly latencyMs: number
}

/** What keeps a credential from being of use, and which part of it that is. */
interface CredentialProblem {
  readonly param: string
  readonly message: string
}

const PATIENCE_MS = 10_000
const SAID_BYTES_MAX = 4_096
/** The sandbox is nobody's to add. */
const OFFERED = PROVIDERS.filter(({ name }) => name !== 'sandbox')

/** What is known of providers, for who looks after credentials. */
export const providerDesk = {
  types: OFFERED.map((provider) => ({
    name: provider.name,
    title: provider.title,
    baseUrl: provider.baseUrl,
    settings: provider.settings.map(({ name, description, default: usual }) => ({ name, description, default: usual })),
    secret: needsSecret(provider) ? ('required' as const) : ('optional' as const),
    documentation: provider.documentation,
    notes: provider.notes,
  })),

  /** What is missing or wrong, as far as that can be told without asking the provider; null for nothing. */
  check(credential: ClearCredential): CredentialProblem | null {
    const provider = OFFERED.find(({ name }) => name === credential.provider)
    if (!provider) return { param: 'provider', message: `There is no provider of type "${credential.provider}".` }
    const stranger = Object.keys(credential.settings).find(
      (name) => !provider.settings.some((setting) => setting.name === name),
    )
    if (stranger !== undefined)
      return { param: `settings.${stranger}`, message: `${provider.title} has no such setting.` }
    if (!provider.baseUrl && !credential.baseUrl)
      return { param: 'base_url', message: `${provider.title} has no usual address: say where its API is.` }
    const place = problemOf('settings', () => new URL(fillBaseUrl(provider, credential.settings, credential.baseUrl)))
    if (place) return place
    if (needsSecret(provider) && !credential.secret)
      return { param: 'secret', message: `${provider.title} needs a key.` }
    return problemOf('secret', () => upstreamWith(credential, credential.secret))
  },

  /** Asks the provider something that costs nothing, with the credential, at the address that calls go to. Follows no redirect: the key is for that address. */
  async test(credential: ClearCredential): Promise<Tested> {
    const began = performance.now()
    let told: Omit<Tested, 'latencyMs'>
    try {
      told = await tryOut(upstreamWith(credential, credential.secret))
    } catch (error) {
      told = { outcome: 'unclear', message: (error as Error).message, status: null }
    }
    const message = maskText(hideSecret(credential.secret ?? '')(told.message))
    return { ...told, message, latencyMs: Math.round(performance.now() - began) }
  },
}

function problemOf(param: string, attempt: () => unknown): CredentialProblem | null {
  try {
    attempt()
    return null
  } catch (error) {
    return { param, message: `${(error as Error).message}.` }
  }
}

function needsSecret({ auth }: Provider): boolean {
  return auth.kind !== 'optional-bearer'
}

interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: Buffer
  readonly headers?: Readonly<Record<string, string>>
}

const NOTHING = Buffer.alloc(0)

async function tryOut(upstream: Upstream): Promise<Omit<Tested, 'latencyMs'>> {
  const { provider, origin } = upstream
  const question = questionFor(upstream)
  let headers: readonly string[]
  try {
    // Google, IBM and Entra ID give a token for the credential first: that is the test, and of Google's there is no other that is free.
    headers = await upstream.headersFor(question.path, { body: question.body, headers: question.headers ?? {} })
  } catch (error) {
    return { outcome: 'refused', message: (error as Error).message, status: null }
  }
  if (provider.auth.kind === 'google')
    return { outcome: 'works', message: 'Google gave an access token for it.', status: null }
  const answer = await ask(origin, question, headers)
  if ('failure' in answer) return { outcome: 'unreachable', message: answer.failure, status: null }
  const { status, said } = answer
  if (status === 401 || status === 403)
    return { outcome: 'refused', message: `It refuses the key: ${said || status}`, status }
  if (question.method === 'POST' && status < 500)
    return {
      outcome: 'works',
      message: 'It took the credential, and could do nothing with the call, as was to be expected.',
      status,
    }
  if (status < 200 || status > 299)
    return {
      outcome: 'unclear',
      message: `It answered ${status} to the question for its models, which says nothing of the key: ${said}`,
      status,
    }
  if (needsSecret(provider) && (await listsToAnyone(origin, question, provider)))
    return { outcome: 'unclear', message: 'It answers, but lists its models to anyone, whatever the key.', status }
  return { outcome: 'works', message: 'It listed its models for the key.', status }
}

/** Its list of models, which costs nothing, where its dialect has it; else a call of a model that there isn't. */
function questionFor({ provider: { auth, dialect, hosting, paths }, basePath }: Upstream): Question {
  if (hosting === 'bedrock')
    return {
      method: 'POST',
      path: `${basePath}/model/nemo.credential-test/converse`,
      body: Buffer.from('{"messages":[]}'),
    }
  if (hosting === 'sagemaker') return { method: 'POST', path: `${basePath}/invocations`, body: Buffer.from('{}') }
  // What is signed there is a POST, and a list of models isn't documented.
  if (auth.kind === 'oci') return { method: 'POST', path: `${basePath}/chat/completions`, body: Buffer.from('{}') }
  const get = (path: string) => ({ method: 'GET' as const, path, body: NOTHING })
  // https://docs.cohere.com/reference/list-models is in version 1 only.
  if (dialect === 'cohere') return get(`${basePath.replace(/\/v2$/, '/v1')}/models`)
  // https://platform.claude.com/docs/en/api/models-list
  if (dialect === 'anthropic')
    return { ...get(`${basePath}/v1/models`), headers: { 'anthropic-version': '2023-06-01' } }
  return get(basePath + (paths.models ?? '/models'))
}

async function listsToAnyone(origin: string, question: Question, { headers }: Provider): Promise<boolean> {
  const answer = await ask(origin, question, Object.entries({ ...headers, ...question.headers }).flat())
  return 'status' in answer && answer.status >= 200 && answer.status <= 299
}

async function ask(
  origin: string,
  { method, path, body }: Question,
  headers: readonly string[],
): Promise<{ status: number; said: string } | { failure: string }> {
  try {
    const { statusCode, body: answer } = await request(origin + path, {
      method,
      headers: headers as string[],
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(method === 'POST' && { body }),
    })
    return { status: statusCode, said: await beginningOf(answer) }
  } catch (error) {
    return { failure: reasonOf(error as NodeJS.ErrnoException) }
  }
}

/** Never more than it takes to say why: a list of models may be long, and a stranger's answer endless. */
async function beginningOf(answer: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of answer) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > SAID_BYTES_MAX) break
  }
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 300)
}

function reasonOf({ name, code, message }: NodeJS.ErrnoException): string {
  if (name === 'TimeoutError') return `Nothing came within ${PATIENCE_MS / 1_000} s.`
  return `It can’t be reached: ${code === 'ECONNREFUSED' ? 'connection refused' : (code ?? message)}.`
}
