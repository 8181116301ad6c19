import type { BY_THE_PIECE } from '@nemo/domain/pricing'
import type { JsonObject } from './chat/request.ts'
import { generationOf } from './dialects/gemini/models.ts'
import { isObject, readInteger } from './fields.ts'
import type { Provider } from './provider.ts'
import type { Surface } from './surface.ts'

/** Something that a provider does on its own servers for a request, beside an answer. */
export interface HostedTool {
  /** Where the request asks for it. */
  readonly param: string
  /**
   * What it is billed by: pieces, or tokens alone. Null where no answer tells what a call took of it, so that nobody could charge for it; `model` where it is another model than the one that is
   * asked for.
   */
  readonly bill: Piece | 'tokens' | 'model' | null
  /** How often a call may use it. */
  readonly most: number
  /** How many tokens each use may bring to be read; `context` for as many as the model takes. */
  readonly brings: number | 'context'
  /** How often the prompt may be read again for it, at the price of the first time. */
  readonly rereads: number
}

type Piece = (typeof BY_THE_PIECE)[number]
/** What one tool is, but for where it stands and how often it may be used. */
type Kind = Pick<HostedTool, 'bill' | 'brings'>

/** How often a call may search where the request doesn't say: what is sent says so, to those that can be told. */
export const SEARCHES_MAX = 10
/** Nobody means more. */
const CALLS_MAX = 10_000

const UNTOLD: Kind = { bill: null, brings: 0 }
const OTHER_MODEL: Kind = { bill: 'model', brings: 0 }
/**
 * What one search brings is read as input: a block of so many tokens from the web (https://platform.openai.com/docs/pricing), of files up to twenty pieces of 800
 * (https://platform.openai.com/docs/guides/tools-file-search).
 */
export const TOKENS_FOUND = { search: 8_000, searchPreview: 8_000, fileSearch: 16_000 } as const
const SEARCH: Kind = { bill: 'search', brings: TOKENS_FOUND.search }
const SEARCH_PREVIEW: Kind = { bill: 'searchPreview', brings: TOKENS_FOUND.searchPreview }
const FILE_SEARCH: Kind = { bill: 'fileSearch', brings: TOKENS_FOUND.fileSearch }
const PAGES: Kind = { bill: 'tokens', brings: 'context' }

/** A quick look: whether a request may ask for anything but an answer, with functions of the caller's own. */
export function mayHost(fields: JsonObject): boolean {
  const { tools } = fields
  if (Array.isArray(tools) && !tools.every(isFunction)) return true
  return SWITCHES.some((name) => fields[name] != null)
}

/** As OpenAI's APIs have functions, and Anthropic's. */
function isFunction(tool: unknown): boolean {
  if (!isObject(tool) || isTypedTwice(tool)) return false
  const { type, name, function: named, input_schema: schema } = tool
  if (isObject(named)) return type === 'function' || type == null
  return type === 'function' ? typeof name === 'string' : type == null && isObject(schema)
}

/** A parser that tells no small letters from large ones could read the other type. */
function isTypedTwice(tool: JsonObject): boolean {
  return Object.keys(tool).some((key) => key !== 'type' && key.toLowerCase() === 'type')
}

/** What a provider would do for a request. Empty where it answers, and nothing else. Throws a 400 that names the field on a most that is none. */
export function hostedTools(
  surface: Surface['name'],
  fields: JsonObject,
  provider: Pick<Provider, 'name' | 'dialect' | 'endpoints'>,
  model: string,
): HostedTool[] {
  const given = Array.isArray(fields.tools) ? fields.tools : []
  const tools = (
    kindOf: (tool: JsonObject) => Kind | null,
    mostOf: (tool: JsonObject, param: string) => number,
    rereads: (most: number) => number,
  ) =>
    given.flatMap((tool, i): HostedTool[] => {
      const param = `tools[${i}]`
      if (isFunction(tool)) return []
      const kind = isObject(tool) && !isTypedTwice(tool) ? kindOf(tool) : UNTOLD
      if (kind === null) return []
      const most = isObject(tool) ? mostOf(tool, param) : 1
      return [{ ...kind, param, most, rereads: kind.bill === null ? 0 : rereads(most) }]
    })
  const asked = (name: string, kind: Kind, most = 1) =>
    isOff(name, fields[name]) ? [] : [{ ...kind, param: name, most, rereads: 0 }]
  switch (provider.dialect) {
    case 'openai': {
      const isPassed = surface === 'responses' && provider.endpoints.includes('responses')
      const isOpenRouter = provider.name === 'openrouter'
      const kindOf = isPassed ? kindOfResponsesTool : surface === 'chat' ? kindOfChatTool : () => null
      return [
        // What was read before OpenAI reads from its cache, ten times for the price of once.
        ...tools(
          isOpenRouter ? kindAtOpenRouter : kindOf,
          () => callsMax(fields),
          () => 1,
        ),
        // The models that heed it search once with every request.
        ...asked('web_search_options', /search-(preview|api)/.test(model) ? { ...SEARCH, bill: 'request' } : UNTOLD),
        ...(isOpenRouter
          ? [...asked('plugins', pluginsOf(fields.plugins)), ...asked('preset', OTHER_MODEL)]
          : OF_COMPATIBLE.flatMap((name) => asked(name, UNTOLD))),
      ]
    }
    case 'anthropic':
      return [
        // The prompt is read again after each use, up to ten times (https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools).
        ...tools(
          (tool) => kindOfAnthropicTool(tool, surface),
          usesMax,
          (most) => Math.min(most, 10),
        ),
        ...asked('mcp_servers', PAGES),
      ]
    case 'gemini': {
      const most = (generationOf(model) ?? 3) < 3 ? 1 : SEARCHES_MAX
      return [
        ...tools(
          kindOfGoogleTool,
          () => most,
          () => 1,
        ),
        ...asked('web_search_options', SEARCH, most),
        ...asked('modelArmorConfig', UNTOLD),
      ]
    }
    case 'converse':
      return OF_CONVERSE.flatMap((name) => asked(name, UNTOLD))
    case 'cohere':
      return []
  }
}

/** Fields of chat completions by which providers search, or run code, each in a way of its own: Groq, DashScope, Qianfan, MiniMax, Azure, xAI. */
const OF_COMPATIBLE = [
  ...['search_parameters', 'search_settings', 'web_search', 'enable_search', 'enable_code_interpreter', 'plugins'],
  ...['compound_custom', 'connectors', 'data_sources'],
]

/** What checks the words is billed by them, what is faster is dearer, and tools of Amazon's own search (https://aws.amazon.com/bedrock/pricing/, https://docs.aws.amazon.com/nova/latest/userguide/grounding.html). */
const OF_CONVERSE = ['guardrailConfig', 'performanceConfig', 'toolConfig']

/** All fields that may ask for something beside an answer, without the tools. */
export const SWITCHES = [
  ...['web_search_options', 'mcp_servers', 'preset', 'modelArmorConfig'],
  ...OF_COMPATIBLE,
  ...OF_CONVERSE,
]

/** How some of them are said to be off, beside what is said of nothing. */
const OFF: Readonly<Record<string, (value: JsonObject) => boolean>> = {
  web_search: ({ enable }) => enable === false,
  search_parameters: ({ mode }) => mode === 'off',
  performanceConfig: ({ latency }) => latency === 'standard',
}

/** Whether a field asks for nothing. An empty wish for a search is one all the same. */
export function isOff(name: string, value: unknown): boolean {
  if (value == null) return true
  if (name === 'web_search_options') return false
  if (value === false || value === '' || value === 'off') return true
  if (typeof value !== 'object') return false
  return Object.keys(value).length === 0 || (isObject(value) && OFF[name]?.(value) === true)
}

function kindOfChatTool({ type }: JsonObject): Kind | null {
  return type === 'function' || type === 'custom' ? null : UNTOLD
}

/** OpenRouter says what it billed, so that it may be asked for what it likes, but not for another model (https://openrouter.ai/docs/guides/features/plugins). */
function kindAtOpenRouter({ type }: JsonObject): Kind | null {
  // Without a type it is a function, well made or not.
  if (type == null || type === 'function' || type === 'custom') return null
  return typeof type !== 'string' || /^openrouter:(?!web_search$|web_fetch$|datetime$)/.test(type)
    ? OTHER_MODEL
    : UNTOLD
}

const PLUGINS = new Set(['web', 'file-parser', 'response-healing', 'context-compression', 'moderation'])

function pluginsOf(plugins: unknown): Kind {
  const isKnown = (plugin: unknown) => isObject(plugin) && PLUGINS.has(String(plugin.id))
  return Array.isArray(plugins) && plugins.every(isKnown) ? UNTOLD : OTHER_MODEL
}

/** What the caller runs (https://platform.openai.com/docs/guides/tools). */
const OF_CALLER = new Set([
  ...['function', 'custom', 'namespace', 'computer', 'computer_use', 'computer_use_preview', 'local_shell'],
  ...['apply_patch', 'tool_search'],
])

/** Containers are billed by the minute, pictures as those of another model: of neither an answer tells what it took (https://platform.openai.com/docs/pricing). */
function kindOfResponsesTool(tool: JsonObject): Kind | null {
  const { type, environment } = tool
  if (OF_CALLER.has(String(type))) return null
  if (type === 'mcp') return PAGES
  if (type === 'shell') return isObject(environment) && environment.type === 'local' ? null : UNTOLD
  if (type === 'file_search') return FILE_SEARCH
  if (!isWebSearch(tool)) return UNTOLD
  return String(type).startsWith('web_search_preview') ? SEARCH_PREVIEW : SEARCH
}

/** Of all of OpenAI's own tools together (https://platform.openai.com/docs/api-reference/responses/create#responses-create-max_tool_calls). */
export function callsMax(fields: JsonObject): number {
  return readInteger(fields, 'max_tool_calls', 0, CALLS_MAX) ?? SEARCHES_MAX
}

/** What the caller runs, and what looks for tools (https://platform.claude.com/docs/en/about-claude/pricing). */
const OF_ANTHROPICS_CALLER =
  /^(?:custom|mcp_toolset|(?:bash|text_editor|computer|computer_toolset|browser_toolset|memory|tool_search_tool_[a-z0-9]+)(?:_\d{8})?)$/

/** Code runs by the hour of a container: no answer tells what it took in the units of the bill. */
function kindOfAnthropicTool(tool: JsonObject, surface: Surface['name']): Kind | null {
  const { type, max_content_tokens: most } = tool
  if (type == null || OF_ANTHROPICS_CALLER.test(String(type))) return null
  if (surface !== 'messages' && !isServerTool(tool)) return null
  if (isSearchOfAnthropic(tool)) return SEARCH
  if (/^web_fetch_\d{8}$/.test(String(type)))
    return Number.isSafeInteger(most) ? { ...PAGES, brings: Number(most) } : PAGES
  return /^advisor_/.test(String(type)) ? OTHER_MODEL : UNTOLD
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

/** Google's own tools by their names (https://ai.google.dev/api/caching#Tool), and what they are billed by (https://ai.google.dev/gemini-api/docs/pricing). */
const OF_GOOGLE: Readonly<Record<string, Kind | null>> = {
  codeExecution: null,
  computerUse: null,
  urlContext: PAGES,
  fileSearch: { ...FILE_SEARCH, bill: 'tokens' },
  googleSearch: SEARCH,
  googleSearchRetrieval: SEARCH,
  googleMaps: UNTOLD,
  enterpriseWebSearch: UNTOLD,
  retrieval: UNTOLD,
}

/** Google takes names in both ways to write them. */
function kindNamed(name: string): Kind | null | undefined {
  const own = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return Object.hasOwn(OF_GOOGLE, own) ? OF_GOOGLE[own] : undefined
}

/** Whether it is one of Google's, by what stands in it beside a type. */
export function isGoogleTool({ type: _, ...rest }: JsonObject): boolean {
  const names = Object.keys(rest)
  return names.length > 0 && names.every((name) => kindNamed(name) !== undefined)
}

/** Whether it is a search of the web as OpenAI has it. */
export function isWebSearch({ type }: JsonObject): boolean {
  return typeof type === 'string' && /^web_search(_preview)?(_\d{4}_|$)/.test(type)
}

/** Of several names in one tool the one that counts most. What is no tool of Google's, and no search, goes no further. */
function kindOfGoogleTool(tool: JsonObject): Kind | null {
  if (!isGoogleTool(tool)) return isWebSearch(tool) ? SEARCH : null
  const kinds = Object.keys(tool).flatMap((name) => kindNamed(name) ?? [])
  return kinds.find(({ bill }) => bill === null) ?? kinds.find(({ bill }) => bill === 'search') ?? kinds[0] ?? null
}
