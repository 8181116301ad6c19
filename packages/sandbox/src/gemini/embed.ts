import type { Call, Reply } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { vectorOf } from '../openai/embeddings.ts'
import { textTokens } from '../tokens.ts'
import { refused } from './errors.ts'
import { pixelOf } from './image.ts'
import { checkFields } from './known-fields.ts'

const dimensionsByDefault = 3072
const requestFields = ['model', 'content', 'taskType', 'title', 'outputDimensionality']

/** https://ai.google.dev/api/embeddings#method:-models.batchembedcontents: it doesn't say what was used. */
export function embedContents(model: string, { body }: Call): Reply {
  checkFields(body, ['requests', 'model', 'sandbox'], '')
  const { requests } = body
  if (!Array.isArray(requests) || requests.length === 0) {
    throw refused('* BatchEmbedContentsRequest.requests: requests is not specified\n')
  }
  if (requests.length > 100)
    throw refused('* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n')
  const embeddings = requests.map((request, i) => {
    const path = `requests[${i}]`
    if (!isObject(request)) throw refused(`Invalid value at '${path}'`)
    checkFields(request, requestFields, path)
    if (request.model !== `models/${model}`) {
      throw refused(`* BatchEmbedContentsRequest.${path}.model: model must match the model of the request\n`)
    }
    return { values: valuesOf(textOf(request.content, path), request.outputDimensionality) }
  })
  return { status: 200, content: { json: JSON.stringify({ embeddings }), tokens: 0 } }
}

/** https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/projects.locations.publishers.models/embedContent: what newer models have there. */
export function embedContent({ body }: Call): Reply {
  checkFields(body, ['content', 'embedContentConfig', 'sandbox'], '')
  const config = isObject(body.embedContentConfig) ? body.embedContentConfig : {}
  checkFields(config, ['taskType', 'title', 'outputDimensionality', 'autoTruncate'], 'embed_content_config')
  const text = textOf(body.content, 'content')
  const embedding = { values: valuesOf(text, config.outputDimensionality) }
  const usageMetadata = { promptTokenCount: textTokens(text) }
  return { status: 200, content: { json: JSON.stringify({ embedding, usageMetadata, truncated: false }), tokens: 0 } }
}

/** https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api */
export function predict({ body }: Call): Reply {
  const { instances, parameters } = body
  if (!Array.isArray(instances) || instances.length === 0) throw refused('Invalid instances: at least one is needed.')
  if (isObject(instances[0]) && typeof instances[0].prompt === 'string') return imagine(instances[0].prompt, parameters)
  const dimensions = isObject(parameters) ? parameters.outputDimensionality : undefined
  const predictions = instances.map((instance) => {
    const text = isObject(instance) ? instance.content : undefined
    if (typeof text !== 'string' || text === '') throw refused('The text content is empty.')
    const statistics = { truncated: false, token_count: textTokens(text) }
    return { embeddings: { values: valuesOf(text, dimensions), statistics } }
  })
  return { status: 200, content: { json: JSON.stringify({ predictions }), tokens: 0 } }
}

/** https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api: every picture is one pixel. */
function imagine(prompt: string, parameters: unknown): Reply {
  const count = isObject(parameters) ? Number(parameters.sampleCount ?? 1) : 1
  const predictions = Array.from({ length: count }, (_, i) => ({
    mimeType: 'image/png',
    bytesBase64Encoded: pixelOf(`${prompt} ${i}`),
  }))
  return { status: 200, content: { json: JSON.stringify({ predictions }), tokens: 0 } }
}

function textOf(content: unknown, path: string): string {
  const parts = isObject(content) && Array.isArray(content.parts) ? content.parts.filter(isObject) : []
  const text = parts.map((part: JsonObject) => part.text ?? '').join('')
  if (text === '') throw refused(`* BatchEmbedContentsRequest.${path}.content: content is empty\n`)
  return text
}

function valuesOf(text: string, dimensions: unknown = dimensionsByDefault): number[] {
  if (!Number.isInteger(dimensions) || (dimensions as number) < 1 || (dimensions as number) > dimensionsByDefault) {
    throw refused(`outputDimensionality must be in the range [1, ${dimensionsByDefault}]`)
  }
  return Array.from(vectorOf(text, dimensions as number))
}
