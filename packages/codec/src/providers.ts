import { openAiCompatible, type Provider } from './provider.ts'

export const PROVIDERS: readonly Provider[] = [
  openAiCompatible({
    name: 'openai',
    title: 'OpenAI',
    baseUrl: 'https://api.openai.com/v1',
    apiKeyVariable: 'OPENAI_API_KEY',
    endpoints: ['chat', 'responses', 'embeddings', 'images'],
    outputCap: 'max_completion_tokens',
    systemRole: null,
    documentation: 'https://platform.openai.com/docs/api-reference',
  }),
  openAiCompatible({
    name: 'openai-compatible',
    title: 'OpenAI-compatible',
    baseUrl: null,
    auth: { kind: 'optional-bearer' },
    endpoints: ['chat', 'embeddings', 'images'],
    systemRole: null,
    documentation: 'https://platform.openai.com/docs/api-reference',
  }),
  openAiCompatible({
    name: 'sandbox',
    title: 'Sandbox',
    baseUrl: null,
    endpoints: ['chat', 'responses', 'embeddings', 'images'],
    outputCap: 'max_completion_tokens',
    systemRole: null,
    documentation: 'packages/sandbox/README.md',
  }),
]

export function findProvider(name: string): Provider | null {
  return PROVIDERS.find((provider) => provider.name === name) ?? null
}
