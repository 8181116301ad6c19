import type { BY_THE_PIECE } from '@nemo/domain/pricing'
import type { JsonObject } from './chat/request.ts'
import { generationOf } from './dialects/gemini/models.ts'
import { isObject, readInteger } from './fields.ts'
import type { Provider } from './provider.ts'
import type { Surface } from './surface.ts'

/** Something that a provider does on its own servers for a request, and bills beside the tokens. */
export interface HostedTool {
  /** Where the request asks for it. */
  readonly param: string
  /** What it is billed by; null where no answer tells what a call took of it, so that nobody could charge for it. */
  readonly bill: (typeof BY_THE_PIECE)[number] | null
  /** How many of these a call may come to. */
  readonly most: number
}

/** How often a call may search where the request doesn't say: what is sent says so, to those that can be told. */
export const SEARCHES_MAX = 10

/** Nobody means more. */
const CALLS_MAX = 10_000

/** Tokens alone. */
type Bill = HostedTool['bill'] | 'tokens'

/** Whether a request asks for anything but an answer, with functions of the caller's own at most. */
export function asksForTools(fields: JsonObject): boolean {
  const { tools } = fields
  if (Array.isArray(tools) && tools.some((tool) => !isObject(tool) || !isPlain(tool))) return true
  return SWITCHES.some((name) => asks(fields[name]))
}

function isPlain({ type, input_schema: schema }: JsonObject): boolean {
  return type === 'function' || type === 'custom' || (type == null && schema !== undefined)
}

/** What a provider of that dialect would run of a request. Empty where it bills tokens alone. Throws a 400 that names the field on a most that is none. */
export function hostedTools(
  surface: Surface['name'],
  fields: JsonObject,
  { dialect, endpoints }: Pick<Provider, 'dialect' | 'endpoints'>,
  model: string,
): HostedTool[] {
  const given = Array.isArray(fields.tools) ? fields.tools : []
  const tools = (billOf: (tool: JsonObject) => Bill, mostOf: (tool: JsonObject, param: string) => number) =>
    given.flatMap((tool, i): HostedTool[] => {
      const bill = isObject(tool) ? billOf(tool) : 'tokens'
      const param = `tools[${i}]`
      return bill === 'tokens' ? [] : [{ param, bill, most: mostOf(tool, param) }]
    })
  const switched = (names: readonly string[]) =>
    names.filter((name) => asks(fields[name])).map((param) => ({ param, bill: null, most: 0 }))
  switch (dialect) {
    case 'openai': {
      const isPassed = surface === 'responses' && endpoints.includes('responses')
      const most = callsMax(fields)
      return [
        ...(isPassed ? tools(billOfResponsesTool, () => most) : []),
        ...(surface === 'chat' ? tools(billOfChatTool, () => 0) : []),
        // The models that heed it search once with every request.
        ...(asks(fields.web_search_options)
          ? [{ param: 'web_search_options', bill: 'request' as const, most: 1 }]
          : []),
        ...switched(OF_COMPATIBLE),
      ]
    }
    case 'anthropic':
      return tools((tool) => billOfAnthropicTool(tool, surface), usesMax)
    case 'gemini': {
      const most = (generationOf(model) ?? 3) < 3 ? 1 : SEARCHES_MAX
      const searches = asks(fields.web_search_options)
        ? [{ param: 'web_search_options', bill: 'search' as const, most }]
        : []
      return [...tools(billOfGoogleTool, () => most), ...searches]
    }
    case 'converse':
      return switched(OF_CONVERSE)
    case 'cohere':
      return []
  }
}

/** Fields of chat completions by which providers search, or run code, each in a way of its own: Groq, DashScope, Qianfan, MiniMax, Azure, xAI. */
const OF_COMPATIBLE = [
  ...['search_parameters', 'search_settings', 'web_search', 'enable_search', 'enable_code_interpreter', 'plugins'],
  ...['compound_custom', 'connectors', 'data_sources'],
]

/** What checks the words is billed by them, and what is faster is dearer (https://aws.amazon.com/bedrock/pricing/). */
const OF_CONVERSE = ['guardrailConfig', 'performanceConfig']

/** All fields that may ask for something beside an answer, without the tools. */
export const SWITCHES = ['web_search_options', ...OF_COMPATIBLE, ...OF_CONVERSE]

function asks(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return isObject(value) ? value.enable !== false && value.latency !== 'standard' : value != null && value !== false
}

function billOfChatTool({ type }: JsonObject): Bill {
  return type === 'function' || type === 'custom' ? 'tokens' : null
}

/** What the caller runs, or what costs nothing but the tokens that it reads (https://platform.openai.com/docs/pricing). */
const OF_RESPONSES = new Set([
  ...['function', 'custom', 'namespace', 'mcp', 'computer', 'computer_use', 'computer_use_preview', 'local_shell'],
  ...['apply_patch', 'tool_search'],
])

/** Containers are billed by the minute, pictures as those of another model: of neither an answer tells what it took. */
function billOfResponsesTool({ type, environment }: JsonObject): Bill {
  if (OF_RESPONSES.has(String(type))) return 'tokens'
  if (type === 'shell') return isObject(environment) && environment.type === 'local' ? 'tokens' : null
  if (type === 'file_search') return 'fileSearch'
  if (!isWebSearch({ type })) return null
  return String(type).startsWith('web_search_preview') ? 'searchPreview' : 'search'
}

/** Of all of OpenAI's own tools together (https://platform.openai.com/docs/api-reference/responses/create#responses-create-max_tool_calls). */
export function callsMax(fields: JsonObject): number {
  return readInteger(fields, 'max_tool_calls', 0, CALLS_MAX) ?? SEARCHES_MAX
}

/** What the caller runs, and what costs nothing but tokens (https://platform.claude.com/docs/en/about-claude/pricing). */
const OF_ANTHROPIC =
  /^(?:custom|mcp_toolset|(?:bash|text_editor|computer|computer_toolset|browser_toolset|memory|web_fetch|tool_search_tool_[a-z0-9]+)(?:_\d{8})?)$/

/** Code runs by the hour of a container, and advisors are other models: of neither an answer tells what it took in the units of the bill. */
function billOfAnthropicTool(tool: JsonObject, surface: Surface['name']): Bill {
  const { type } = tool
  if (type == null || OF_ANTHROPIC.test(String(type))) return 'tokens'
  if (isSearchOfAnthropic(tool)) return 'search'
  return surface === 'messages' || isServerTool(tool) ? null : 'tokens'
}

/** Anthropic’s own tools have the day of their version in their type (https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools). Nobody else’s have. */
export function isServerTool({ type }: JsonObject): boolean {
  return typeof type === 'string' && /_\d{8}$/.test(type)
}

function isSearchOfAnthropic({ type }: JsonObject): boolean {
  return typeof type === 'string' && /^web_search_\d{8}$/.test(type)
}

function usesMax(tool: JsonObject, param: string): number {
  return readInteger(tool, 'max_uses', 1, CALLS_MAX, `${param}.max_uses`) ?? SEARCHES_MAX
}

/** The tool with the most that it may be used said. */
export function withUsesMax(tool: JsonObject): JsonObject {
  return isSearchOfAnthropic(tool) && tool.max_uses == null ? { ...tool, max_uses: SEARCHES_MAX } : tool
}

/** Google's own tools by their names, in both ways to write them (https://ai.google.dev/api/caching#Tool), and what they are billed by (https://ai.google.dev/gemini-api/docs/pricing). */
const BILLS_OF_GOOGLE: ReadonlyMap<string, Bill> = new Map([
  ...billed('tokens', ['codeExecution', 'urlContext', 'computerUse', 'fileSearch']),
  ...billed('tokens', ['code_execution', 'url_context', 'computer_use', 'file_search']),
  ...billed('search', ['googleSearch', 'googleSearchRetrieval', 'google_search', 'google_search_retrieval']),
  ...billed(null, ['googleMaps', 'google_maps', 'enterpriseWebSearch', 'enterprise_web_search', 'retrieval']),
])

function billed(bill: Bill, names: readonly string[]): (readonly [string, Bill])[] {
  return names.map((name) => [name, bill])
}

/** Whether it is one of Google's, by what stands in it beside a type. */
export function isGoogleTool({ type: _, ...rest }: JsonObject): boolean {
  const names = Object.keys(rest)
  return names.length > 0 && names.every((name) => BILLS_OF_GOOGLE.has(name))
}

/** Whether it is a search of the web as OpenAI has it. */
export function isWebSearch({ type }: JsonObject): boolean {
  return typeof type === 'string' && /^web_search(_preview)?(_\d{4}_|$)/.test(type)
}

/** What is neither goes no further. */
function billOfGoogleTool(tool: JsonObject): Bill {
  if (isWebSearch(tool)) return 'search'
  if (!isGoogleTool(tool)) return 'tokens'
  const bills = Object.keys(tool).map((name) => BILLS_OF_GOOGLE.get(name))
  return bills.includes(null) ? null : bills.includes('search') ? 'search' : 'tokens'
}
