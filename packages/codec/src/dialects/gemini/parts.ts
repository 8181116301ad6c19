import type { JsonObject, ToolCall } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'

/** What a part of an answer comes to: https://ai.google.dev/api/caching#Part */
export type Said =
  | { readonly kind: 'thought' | 'text'; readonly text: string; readonly signature: string | null }
  | { readonly kind: 'call'; readonly call: ToolCall }
  /** Base64. */
  | { readonly kind: 'audio'; readonly data: string }

/** `otherwise` is the id of a call that came without one. Null of a part that says nothing. Throws a SyntaxError on half a call. */
export function readPart(part: JsonObject, otherwise: string): Said | null {
  if (isObject(part.functionCall)) return { kind: 'call', call: readCall(part, part.functionCall, otherwise) }
  const sound = soundOf(part)
  if (sound !== null) return { kind: 'audio', data: sound }
  const signature = textOrNull(part.thoughtSignature)
  const isThought = part.thought === true
  const text = textOrNull(part.text) ?? (isThought ? null : textOf(part))
  if (text === null && signature === null) return null
  return { kind: isThought ? 'thought' : 'text', text: text ?? '', signature }
}

export function partsOf(candidate: JsonObject): JsonObject[] {
  const { content } = candidate
  return isObject(content) && Array.isArray(content.parts) ? content.parts.filter(isObject) : []
}

/** Not every model gives its calls ids; where one has none, the answer's and its place make one. */
function readCall(part: JsonObject, call: JsonObject, otherwise: string): ToolCall {
  if (call.partialArgs !== undefined || call.willContinue !== undefined) {
    throw new SyntaxError('a call came in pieces: streamFunctionCallArguments can’t be asked for here')
  }
  return {
    type: 'call',
    id: textOrNull(call.id) ?? otherwise,
    name: textOrNull(call.name) ?? '',
    arguments: JSON.stringify(call.args ?? {}),
    signature: textOrNull(part.thoughtSignature),
  }
}

function soundOf({ inlineData }: JsonObject): string | null {
  if (!isObject(inlineData) || !textOrNull(inlineData.mimeType)?.startsWith('audio/')) return null
  return textOrNull(inlineData.data)
}

/** What has no place in an answer of text, as Markdown has it: a picture, code that Google ran, what came of it. */
function textOf({ inlineData, executableCode, codeExecutionResult }: JsonObject): string | null {
  if (isObject(inlineData)) {
    return `![](data:${textOrNull(inlineData.mimeType) ?? 'image/png'};base64,${textOrNull(inlineData.data) ?? ''})`
  }
  if (isObject(executableCode)) {
    const language = textOrNull(executableCode.language)?.toLowerCase() ?? ''
    return `\n\`\`\`${language}\n${textOrNull(executableCode.code) ?? ''}\n\`\`\`\n`
  }
  if (isObject(codeExecutionResult)) return `\n\`\`\`\n${textOrNull(codeExecutionResult.output) ?? ''}\n\`\`\`\n`
  return null
}
