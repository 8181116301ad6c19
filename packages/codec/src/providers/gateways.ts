import { type Provider, openAiCompatible as provider } from '../provider.ts'

/** Gateways of others, with providers of their own behind them. */
export const GATEWAYS: readonly Provider[] = [
  provider({
    name: 'openrouter',
    title: 'OpenRouter',
    baseUrl: 'https://openrouter.ai/api/v1',
    apiKeyVariable: 'OPENROUTER_API_KEY',
    endpoints: ['chat', 'embeddings'],
    // https://openrouter.ai/docs/features/prompt-caching
    cacheControl: true,
    reportsCost: true,
    documentation: 'https://openrouter.ai/docs/api-reference/overview',
  }),
  provider({
    name: 'vercel',
    title: 'Vercel AI Gateway',
    baseUrl: 'https://ai-gateway.vercel.sh/v1',
    apiKeyVariable: 'AI_GATEWAY_API_KEY',
    endpoints: ['chat', 'embeddings'],
    // https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions/advanced
    cacheControl: true,
    documentation: 'https://vercel.com/docs/ai-gateway/openai-compat',
  }),
  provider({
    name: 'cloudflare-gateway',
    title: 'Cloudflare AI Gateway',
    baseUrl: 'https://gateway.ai.cloudflare.com/v1/{account}/{gateway}/compat',
    settings: [
      { name: 'account', description: 'Cloudflare account id', variable: 'CLOUDFLARE_ACCOUNT_ID', default: null },
      { name: 'gateway', description: 'Name of the gateway', variable: 'CLOUDFLARE_GATEWAY', default: 'default' },
    ],
    auth: { kind: 'header', name: 'cf-aig-authorization', prefix: 'Bearer ' },
    apiKeyVariable: 'CF_AIG_TOKEN',
    documentation: 'https://developers.cloudflare.com/ai-gateway/usage/chat-completion/',
  }),
  provider({
    name: 'requesty',
    title: 'Requesty',
    baseUrl: 'https://router.requesty.ai/v1',
    apiKeyVariable: 'REQUESTY_API_KEY',
    documentation: 'https://docs.requesty.ai/quickstart',
  }),
  provider({
    name: 'poe',
    title: 'Poe',
    baseUrl: 'https://api.poe.com/v1',
    apiKeyVariable: 'POE_API_KEY',
    documentation: 'https://creator.poe.com/docs/external-applications/openai-compatible-api',
  }),
]
