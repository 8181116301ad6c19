import type { Call, Reply } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import { Refusal } from '../refusal.ts'
import { required, wrongType } from './fields.ts'

/** https://platform.openai.com/docs/api-reference/models/list */
export function listModels(call: Call): Reply {
  const data = modelIds.map((id) => model(id, call.settings.created))
  return { status: 200, content: { json: JSON.stringify({ object: 'list', data }), tokens: 0 } }
}

/** https://platform.openai.com/docs/api-reference/models/retrieve */
export function retrieveModel(id: string, call: Call): Reply {
  const json = JSON.stringify(model(served(id), call.settings.created))
  return { status: 200, content: { json, tokens: 0 } }
}

/** The body's model, if it is served here: any `sandbox-…`, and a few real names. Each works at every endpoint. */
export function readModel(body: JsonObject, otherwise?: string): string {
  const id = body.model ?? otherwise ?? required(body, 'model')
  if (typeof id !== 'string') throw wrongType('model', 'a string')
  return served(id)
}

function served(id: string): string {
  if (id.startsWith('sandbox-') || modelIds.includes(id)) return id
  throw new Refusal(404, `The model \`${id}\` does not exist or you do not have access to it.`, {
    code: 'model_not_found',
  })
}

function model(id: string, created: number): JsonObject {
  return { id, object: 'model', created, owned_by: id.startsWith('sandbox-') ? 'nemo-sandbox' : 'openai' }
}

const modelIds = [
  ...['sandbox-chat', 'sandbox-embedding', 'sandbox-image'],
  ...['gpt-5', 'gpt-5-mini', 'gpt-4.1', 'gpt-4.1-mini', 'gpt-4o', 'gpt-4o-mini', 'o4-mini'],
  ...['text-embedding-3-small', 'text-embedding-3-large', 'text-embedding-ada-002'],
  ...['gpt-image-1', 'dall-e-3', 'dall-e-2'],
]
