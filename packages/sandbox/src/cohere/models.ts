import type { JsonObject } from '../json.ts'
import { refused } from './errors.ts'

/** The body's model, if it is served here: every one named `sandbox-…`, and Cohere's own. */
export function readModel(body: JsonObject): string {
  const { model } = body
  if (model === undefined) throw refused('invalid request: model is required')
  if (typeof model !== 'string') throw refused('invalid type: parameter model must be a string')
  if (/^(sandbox|command|c4ai|embed)-/.test(model)) return model
  throw refused(
    `model '${model}' not found, make sure the correct model ID was used and that you have access to the model.`,
    404,
  )
}

/** Cohere answers unknown fields with a 422. */
export function checkFields(body: JsonObject, known: ReadonlySet<string>): void {
  const unknown = Object.keys(body).find((name) => !known.has(name) && name !== 'sandbox')
  if (unknown !== undefined) throw refused(`unknown field: parameter '${unknown}' is not a valid field`, 422)
}
