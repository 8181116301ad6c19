import { isObject, type JsonObject } from '../json.ts'
import { refused, unknownField } from './errors.ts'
import { checkFields } from './known-fields.ts'
import { isOwnSignature } from './signature.ts'

export type Turn = { role: 'user' | 'model'; parts: JsonObject[] }

const data = [
  ...['text', 'inlineData', 'fileData', 'functionCall', 'functionResponse', 'executableCode', 'codeExecutionResult'],
]

/**
 * Reads `contents`; throws the 400 that Google would (https://ai.google.dev/gemini-api/docs/function-calling, …/docs/thought-signatures). `signs` says that the model insists
 * on the signature of what it called.
 */
export function readContents(contents: unknown, signs: boolean, isVertex: boolean): Turn[] {
  if (!Array.isArray(contents) || contents.length === 0) {
    throw refused('* GenerateContentRequest.contents: contents is not specified\n')
  }
  const turns = contents.map((content, i) => readContent(content, i, isVertex))
  turns.forEach((turn, i) => {
    if (i > 0 && turns[i - 1]!.role === turn.role) {
      throw refused('Please ensure that multiturn requests alternate between user and model.')
    }
    checkCalls(turn, turns[i - 1])
  })
  const last = turns.at(-1)!
  if (last.role === 'model') {
    throw refused('Please ensure that multiturn requests end with a user role or a function response.')
  }
  if (signs) checkSignatures(turns)
  return turns
}

function readContent(content: unknown, i: number, isVertex: boolean): Turn {
  const path = `contents[${i}]`
  if (!isObject(content))
    throw refused(`Invalid value at '${path}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content)`)
  checkFields(content, ['role', 'parts'], path)
  const role = content.role ?? 'user'
  if (role !== 'user' && role !== 'model') throw refused('Please use a valid role: user, model.')
  const { parts } = content
  if (!Array.isArray(parts) || parts.length === 0) {
    throw refused(`* GenerateContentRequest.${path}.parts: contents.parts must not be empty.\n`)
  }
  for (const [j, part] of parts.entries()) checkPart(part, `${path}.parts[${j}]`, isVertex)
  return { role, parts }
}

function checkPart(part: unknown, path: string, isVertex: boolean): void {
  if (!isObject(part))
    throw refused(`Invalid value at '${path}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Part)`)
  checkFields(part, [...data, 'thought', 'thoughtSignature', 'videoMetadata', 'mediaResolution'], path)
  const said = data.filter((name) => part[name] !== undefined)
  if (said.length !== 1) {
    throw refused(
      `* GenerateContentRequest.${path}.data: required oneof field 'data' must have one initialized field\n`,
    )
  }
  if (part.thoughtSignature !== undefined && !isOwnSignature(part.thoughtSignature)) {
    throw refused('Corrupted thought signature.')
  }
  // Vertex AI tells calls apart by name and order.
  const ids = isVertex ? [] : ['id']
  const { functionCall: call, functionResponse: response, inlineData: inline } = part
  if (isObject(call)) {
    checkFields(call, [...ids, 'name', 'args'], `${path}.function_call`)
    if (typeof call.name !== 'string' || call.name === '') throw emptyName(path, 'function_call')
  }
  if (isObject(response)) {
    checkFields(
      response,
      [...ids, 'name', 'response', 'parts', 'willContinue', 'scheduling'],
      `${path}.function_response`,
    )
    if (typeof response.name !== 'string' || response.name === '') throw emptyName(path, 'function_response')
    if (!isObject(response.response)) {
      throw refused(
        `Invalid value at '${path}.function_response.response' (type.googleapis.com/google.protobuf.Struct)`,
      )
    }
  }
  if (isObject(inline) && (typeof inline.mimeType !== 'string' || typeof inline.data !== 'string')) {
    throw unknownField(Object.keys(inline).find((name) => name !== 'mimeType' && name !== 'data') ?? 'data', path)
  }
}

function emptyName(path: string, what: string) {
  return refused(`* GenerateContentRequest.${path}.${what}.name: Name cannot be empty.\n`)
}

/** Each call has its response in the next turn, by its id where there are ids, and nothing else has one. */
function checkCalls(turn: Turn, before: Turn | undefined): void {
  const calls = before?.role === 'model' ? functionsOf(before, 'functionCall') : []
  const responses = turn.role === 'user' ? functionsOf(turn, 'functionResponse') : []
  if (calls.length !== responses.length) {
    throw refused(
      'Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.',
    )
  }
  const open = [...calls]
  for (const { id, name } of responses) {
    const found = open.findIndex(
      (call) => call.name === name && (id === undefined || call.id === undefined || call.id === id),
    )
    if (found < 0) {
      throw refused(
        `Please ensure that function response '${String(name)}' matches a function call of the turn before.`,
      )
    }
    open.splice(found, 1)
  }
}

export function functionsOf({ parts }: Turn, kind: 'functionCall' | 'functionResponse'): JsonObject[] {
  return parts.map((part) => part[kind]).filter(isObject)
}

/** Of each turn of calls since the user last spoke, the first call is signed. */
function checkSignatures(turns: Turn[]): void {
  const spoke = turns.findLastIndex(
    (turn) => turn.role === 'user' && functionsOf(turn, 'functionResponse').length === 0,
  )
  turns.forEach(({ parts }, i) => {
    const first = parts.find((part) => isObject(part.functionCall))
    if (i < spoke || first === undefined || first.thoughtSignature !== undefined) return
    const name = (first.functionCall as JsonObject).name
    throw refused(
      `Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call \`default_api:${String(name)}\`, position ${i + 1}.`,
    )
  })
}
