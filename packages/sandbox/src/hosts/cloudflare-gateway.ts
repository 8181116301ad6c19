import type { Arrival, Dialect, Endpoint, Reply } from '../dialect.ts'
import { openai } from '../openai/dialect.ts'
import { Refusal } from '../refusal.ts'

/**
 * Cloudflare's AI Gateway by its OpenAI-compatible address (https://developers.cloudflare.com/ai-gateway/usage/chat-completion/), with authentication turned on
 * (https://developers.cloudflare.com/ai-gateway/configuration/authentication/). Models are named with their provider before them.
 */
export const cloudflareGateway: Dialect = {
  ...openai,
  authenticate,
  endpoint,
  refuse,
  headers: (requestId) => ({ 'cf-aig-log-id': requestId, 'cf-aig-cache-status': 'MISS' }),
}

/** The gateway's token. The provider's key may stand beside it as a bearer's; without one the gateway takes the key that is stored there. */
function authenticate({ headers }: Arrival, apiKey: string | undefined): void {
  const given = /^Bearer (.+)$/i.exec(String(headers['cf-aig-authorization'] ?? ''))?.[1]
  if (given === undefined || (apiKey !== undefined && given !== apiKey)) {
    throw new Refusal(401, 'Unauthorized', { code: GATEWAY_CODE })
  }
}

/** The gateway's own, by which its 401 is told from a provider's. */
const GATEWAY_CODE = '2009'

function endpoint(method: string, path: string): Endpoint {
  const [, operation] = /^\/v1\/[^/]+\/[^/]+\/compat(\/.+)$/.exec(path) ?? []
  const found = openai.endpoint(method, operation === '/chat/completions' ? `/v1${operation}` : path)
  return {
    ...found,
    answer(call) {
      const [, model] = /^[^/]+\/(.+)$/.exec(String(call.body.model)) ?? []
      if (model === undefined) throw new Refusal(400, 'Invalid provider', { param: 'model' })
      return found.answer({ ...call, body: { ...call.body, model } })
    },
  }
}

function refuse(refusal: Refusal): Reply {
  const { status, message, code } = refusal
  if (code !== GATEWAY_CODE) return openai.refuse(refusal)
  const body = {
    success: false,
    result: [],
    messages: [],
    error: [{ code: Number(code), message }],
    name: 'AiGatewayError',
    internalCode: Number(code),
  }
  return { status, content: { json: JSON.stringify(body), tokens: 0 } }
}
