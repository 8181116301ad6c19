import { createMessage } from '../anthropic/messages.ts'
import type { Arrival, Dialect, Endpoint } from '../dialect.ts'
import { Refusal } from '../refusal.ts'
import { countTokens } from './count-tokens.ts'
import { embedContent, embedContents, predict } from './embed.ts'
import { failureReply, KEY_INVALID, refusalReply } from './errors.ts'
import { generateContent } from './generate.ts'
import { checkAssertion, isOwnToken, issueToken, oauthReply } from './token.ts'

/** Gemini's wire format at its maker's: https://ai.google.dev/api */
export const gemini: Dialect = {
  authenticate,
  endpoint: (method, path) => {
    const [, version, model, verb] = /^\/(v1|v1beta)\/models\/(.+):([A-Za-z]+)$/.exec(path) ?? []
    if (model === undefined) throw notFound(method, path)
    const missing = `models/${decoded(model)} is not found for API version ${version}, or is not supported for ${verb}. Call ListModels to see the list of available models and their supported methods.`
    return endpointOf(method, path, served(decoded(model), missing), verb!, false)
  },
  refuse: refusalReply,
  fail: failureReply,
  // Google doesn't tell what is left.
  rateLimitHeaders: () => ({}),
  headers: () => ({ 'server-timing': 'gfet4t7; dur=0', 'x-content-type-options': 'nosniff' }),
}

/**
 * The same on Google's cloud: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference. Tokens are to be had at `/vertex/token`; where `apiKey` is the public key
 * of a service account, only such as that account got are let in.
 */
export const vertex: Dialect = {
  ...gemini,
  authenticate(arrival, apiKey) {
    const publicKey = apiKey?.startsWith('-----BEGIN') ? apiKey : undefined
    if (arrival.path === '/vertex/token') return checkAssertion(arrival, publicKey, Date.now())
    const token = /^Bearer (.+)$/i.exec(arrival.headers.authorization ?? '')?.[1]
    if (token !== undefined && (publicKey === undefined || isOwnToken(token, Date.now()))) return
    throw new Refusal(
      401,
      token === undefined
        ? 'Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.'
        : 'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
    )
  },
  refuse: (refusal) => oauthReply(refusal) ?? refusalReply(refusal),
  endpoint: (method, path) => {
    if (path === '/token' && method === 'POST') return { takesBody: false, answer: issueToken }
    const claude =
      /^\/v1\/projects\/[^/]+\/locations\/[^/]+\/publishers\/anthropic\/models\/([^/:]+):(rawPredict|streamRawPredict)$/.exec(
        path,
      )
    if (claude !== null && method === 'POST')
      return predictClaude(decoded(claude[1]!), claude[2] === 'streamRawPredict')
    const found =
      /^\/(?:v1|v1beta1)\/(projects\/[^/]+\/locations\/[^/]+\/publishers\/google\/models\/([^/]+)):([A-Za-z]+)$/.exec(
        path,
      )
    if (found === null) throw notFound(method, path)
    const [, name, model, verb] = found
    const missing = `Publisher Model \`${name}\` was not found or your project does not have access to it. Please ensure you are using a valid model version.`
    return endpointOf(method, path, served(decoded(model!), missing), verb!, true)
  },
}

/** https://docs.claude.com/en/api/claude-on-vertex-ai: Claude's own body, but for the model, and with the version in it. */
function predictClaude(model: string, stream: boolean): Endpoint {
  return {
    takesBody: true,
    model,
    stream,
    answer(call) {
      const { anthropic_version: version, ...rest } = call.body
      if (version !== 'vertex-2023-10-16') throw new Refusal(400, 'anthropic_version: "vertex-2023-10-16" is required')
      if ('model' in rest) throw new Refusal(400, 'model: Extra inputs are not permitted')
      if ((rest.stream === true) !== stream) throw new Refusal(400, 'stream must be what the method says')
      return createMessage({ ...call, body: { ...rest, model: model.split('@', 1)[0], stream } })
    },
  }
}

/** A key in the header or in the query; or a token, whoever it is for. */
function authenticate({ headers, query }: Arrival, apiKey: string | undefined): void {
  const given = headers['x-goog-api-key'] ?? query.get('key') ?? /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
  if (typeof given !== 'string' || given === '') {
    throw new Refusal(
      403,
      "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
    )
  }
  if (apiKey !== undefined && given !== apiKey) {
    throw new Refusal(400, 'API key not valid. Please pass a valid API key.', { code: KEY_INVALID })
  }
}

function endpointOf(method: string, path: string, model: string, verb: string, isVertex: boolean): Endpoint {
  const found = verbs(model, isVertex)[verb]
  if (found === undefined || method !== 'POST') throw notFound(method, path)
  return found
}

function verbs(model: string, isVertex: boolean): Record<string, Endpoint> {
  const made = { takesBody: true, model }
  return {
    generateContent: { ...made, answer: (call) => generateContent(model, false, isVertex, call), stream: false },
    predict: { ...made, answer: predict, stream: false },
    streamGenerateContent: { ...made, answer: (call) => generateContent(model, true, isVertex, call), stream: true },
    countTokens: { ...made, answer: (call) => countTokens(model, isVertex, call), stream: false },
    ...(isVertex
      ? { embedContent: { ...made, answer: embedContent, stream: false } }
      : { batchEmbedContents: { ...made, answer: (call) => embedContents(model, call), stream: false } }),
  }
}

/** Every model named `sandbox-…`, and Google's own. */
function served(model: string, missing: string): string {
  if (/^(sandbox|gemini|gemma|text-embedding|embedding|imagen|text-multilingual-embedding)-/.test(model)) return model
  throw new Refusal(404, missing)
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    // Not a name that any model could have; it is looked up, and not found, as it stands.
    return segment
  }
}

function notFound(method: string, path: string): Refusal {
  return new Refusal(404, `The requested URL ${path} was not found for ${method}.`)
}
