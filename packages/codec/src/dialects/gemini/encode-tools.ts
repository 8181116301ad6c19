import { defined } from '../../chat/openai-only.ts'
import type { ChatRequest, JsonObject, Tool, ToolChoice } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { isGoogleTool, isWebSearch } from '../../hosted-tools.ts'

type Unsupported = Target['unsupported']
type FunctionTool = Extract<Tool, { type: 'function' }>
type OtherTool = Extract<Tool, { type: 'other' }>

/** `tools` and `toolConfig`: https://ai.google.dev/gemini-api/docs/function-calling. A web search is one with Google. */
export function encodeTools({ tools, toolChoice, openAiOnly }: ChatRequest, unsupported: Unsupported): JsonObject {
  const functions = tools.filter((tool) => tool.type === 'function')
  const others = tools.flatMap((tool, i) =>
    tool.type === 'other' ? encodeOther(tool, `tools[${i}]`, unsupported) : [],
  )
  const searches = openAiOnly.web_search_options != null && !others.some((tool) => 'googleSearch' in tool)
  if (searches) refuseSearchOptions(openAiOnly.web_search_options as JsonObject, unsupported)
  const encoded = [
    ...(functions.length > 0 ? [{ functionDeclarations: functions.map(encodeFunction) }] : []),
    ...others,
    ...(searches ? [{ googleSearch: {} }] : []),
  ]
  const config = functions.length > 0 ? encodeChoice(toolChoice, functions) : null
  return {
    ...(encoded.length > 0 && { tools: encoded }),
    ...(config && { toolConfig: { functionCallingConfig: config } }),
  }
}

function encodeFunction({ name, description, parameters }: FunctionTool): JsonObject {
  return defined({ name, description, parametersJsonSchema: parameters })
}

function encodeOther({ of, raw }: OtherTool, path: string, unsupported: Unsupported): JsonObject[] {
  const { type, ...rest } = raw
  if (isGoogleTool(raw)) return [rest]
  // Anthropic's clients wait for blocks of a search that nobody makes for them here.
  if (of !== 'anthropic' && isWebSearch(raw)) {
    refuseSearchOptions(rest, unsupported, path)
    return [{ googleSearch: {} }]
  }
  unsupported(path, `Gemini has no tool of type ${String(type)}.`)
  return []
}

/** Google decides itself how widely it searches, and for whom. */
function refuseSearchOptions(options: JsonObject, unsupported: Unsupported, path = 'web_search_options'): void {
  for (const [name, value] of Object.entries(options)) {
    if (value == null || (name === 'search_context_size' && value === 'medium')) continue
    unsupported(`${path}.${name}`, `Gemini's search has nothing like ${name}.`)
  }
}

/** https://ai.google.dev/api/caching#FunctionCallingConfig. Who wants a schema kept gets the mode that keeps it. */
function encodeChoice(choice: ToolChoice | null, functions: readonly FunctionTool[]): JsonObject | null {
  const free = functions.some(({ strict }) => strict) ? 'VALIDATED' : 'AUTO'
  switch (choice?.type) {
    case undefined:
      return free === 'AUTO' ? null : { mode: free }
    case 'auto':
      return { mode: free }
    case 'none':
      return { mode: 'NONE' }
    case 'required':
      return { mode: 'ANY' }
    case 'function':
      return { mode: 'ANY', allowedFunctionNames: [choice.name] }
    case 'allowed':
      return { mode: choice.mode === 'required' ? 'ANY' : 'VALIDATED', allowedFunctionNames: choice.names }
  }
}
