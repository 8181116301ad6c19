import type { Call, Reply } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import { Refusal } from '../refusal.ts'

/** https://platform.claude.com/docs/en/api/models-list */
export function listModels({ settings }: Call): Reply {
  const data = modelIds.map((id) => model(id, settings.created))
  const json = JSON.stringify({ data, has_more: false, first_id: modelIds[0], last_id: modelIds.at(-1) })
  return { status: 200, content: { json, tokens: 0 } }
}

export function retrieveModel(id: string, { settings }: Call): Reply {
  return { status: 200, content: { json: JSON.stringify(model(served(id), settings.created)), tokens: 0 } }
}

/** Every model whose name begins with `sandbox-` or `claude-`. */
export function served(id: unknown): string {
  if (id === undefined) throw new Refusal(400, 'model: Field required')
  if (typeof id !== 'string') throw new Refusal(400, 'model: Input should be a valid string')
  if (/^(sandbox|claude)-/.test(id)) return id
  throw new Refusal(404, `model: ${id}`)
}

function model(id: string, created: number): JsonObject {
  return { type: 'model', id, display_name: id, created_at: new Date(created * 1000).toISOString() }
}

const modelIds = ['sandbox-claude', 'claude-opus-4-6', 'claude-sonnet-4-5', 'claude-haiku-4-5']
