import { openAiCompatible, type Provider } from '../provider.ts'

function server(entry: Parameters<typeof openAiCompatible>[0]): Provider {
  return openAiCompatible({ auth: { kind: 'optional-bearer' }, endpoints: ['chat', 'embeddings'], ...entry })
}

/** Servers of one's own, where they listen unless told otherwise. */
export const OWN_SERVERS: readonly Provider[] = [
  server({
    name: 'ollama',
    title: 'Ollama',
    baseUrl: 'http://127.0.0.1:11434/v1',
    documentation: 'https://docs.ollama.com/api/openai-compatibility',
  }),
  server({
    name: 'vllm',
    title: 'vLLM',
    baseUrl: 'http://127.0.0.1:8000/v1',
    documentation: 'https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html',
  }),
  server({
    name: 'lm-studio',
    title: 'LM Studio',
    baseUrl: 'http://127.0.0.1:1234/v1',
    documentation: 'https://lmstudio.ai/docs/developer/openai-compat',
  }),
  server({
    name: 'llama-cpp',
    title: 'llama.cpp',
    baseUrl: 'http://127.0.0.1:8080/v1',
    documentation: 'https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md',
  }),
  server({
    name: 'sglang',
    title: 'SGLang',
    baseUrl: 'http://127.0.0.1:30000/v1',
    documentation: 'https://docs.sglang.ai/basic_usage/openai_api.html',
  }),
  server({
    name: 'tgi',
    title: 'Text Generation Inference',
    baseUrl: 'http://127.0.0.1:3000/v1',
    endpoints: ['chat'],
    documentation: 'https://huggingface.co/docs/text-generation-inference/messages_api',
  }),
  server({
    name: 'localai',
    title: 'LocalAI',
    baseUrl: 'http://127.0.0.1:8080/v1',
    endpoints: ['chat', 'embeddings', 'images'],
    documentation: 'https://localai.io/basics/getting_started/',
  }),
  server({
    name: 'xinference',
    title: 'Xinference',
    baseUrl: 'http://127.0.0.1:9997/v1',
    endpoints: ['chat', 'embeddings', 'images'],
    documentation: 'https://inference.readthedocs.io/en/latest/',
  }),
  server({
    name: 'openai-compatible',
    title: 'OpenAI-compatible',
    baseUrl: null,
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
