import { isObject } from '../json.ts'
import { unknownField } from './errors.ts'

/** https://ai.google.dev/api/generate-content#request-body, and Vertex's `labels` and `modelArmorConfig`. */
export const requestFields = [
  ...['contents', 'systemInstruction', 'tools', 'toolConfig', 'safetySettings', 'generationConfig', 'cachedContent'],
  ...['labels', 'model', 'serviceTier', 'store', 'modelArmorConfig', 'sandbox'],
]

/** https://ai.google.dev/api/generate-content#generationconfig */
export const generationFields = [
  ...['stopSequences', 'responseMimeType', 'responseSchema', 'responseJsonSchema', 'responseModalities'],
  ...[
    'candidateCount',
    'maxOutputTokens',
    'temperature',
    'topP',
    'topK',
    'seed',
    'presencePenalty',
    'frequencyPenalty',
  ],
  ...['responseLogprobs', 'logprobs', 'enableEnhancedCivicAnswers', 'speechConfig', 'thinkingConfig', 'imageConfig'],
  ...['mediaResolution', 'audioTimestamp', 'routingConfig'],
]

export const thinkingFields = ['includeThoughts', 'thinkingBudget', 'thinkingLevel']

export const toolFields = [
  ...['functionDeclarations', 'googleSearch', 'googleSearchRetrieval', 'codeExecution', 'urlContext', 'googleMaps'],
  ...['fileSearch', 'computerUse', 'retrieval', 'enterpriseWebSearch'],
]

export const declarationFields = [
  ...['name', 'description', 'behavior', 'parameters', 'parametersJsonSchema', 'response', 'responseJsonSchema'],
]

/** Of a schema that is not a JSON Schema but OpenAPI's: https://ai.google.dev/api/caching#Schema */
const schemaFields = [
  ...['type', 'format', 'title', 'description', 'nullable', 'enum', 'maxItems', 'minItems', 'properties', 'required'],
  ...['minProperties', 'maxProperties', 'minLength', 'maxLength', 'pattern', 'example', 'anyOf', 'propertyOrdering'],
  ...['default', 'items', 'minimum', 'maximum'],
]

/** Google refuses names that it doesn't know; `path` is where they stand. */
export function checkFields(value: object, known: readonly string[], path: string): void {
  for (const name of Object.keys(value)) if (!known.includes(name)) throw unknownField(name, path)
}

/** The schema as a JSON Schema. Throws the 400 that JSON Schema's own words get where only OpenAPI's are known. */
export function readSchema(schema: unknown, path: string): unknown {
  if (!isObject(schema)) return schema
  checkFields(schema, schemaFields, path)
  const { type, properties, items, anyOf } = schema
  const read = { ...schema }
  if (typeof type === 'string') read.type = type.toLowerCase()
  if (items !== undefined) read.items = readSchema(items, `${path}.items`)
  if (Array.isArray(anyOf)) read.anyOf = anyOf.map((one, i) => readSchema(one, `${path}.any_of[${i}]`))
  if (isObject(properties)) {
    read.properties = Object.fromEntries(
      Object.entries(properties).map(([name, one], i) => [name, readSchema(one, `${path}.properties[${i}].value`)]),
    )
  }
  return read
}
