import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from '../chat/request.ts'
import { isObject } from '../fields.ts'
import { count, readUsage } from './openai.ts'

/**
 * What a response used (https://platform.openai.com/docs/api-reference/responses/object): its tokens, and the searches that OpenAI bills beside them, which `tool_usage` counts. Where that is
 * missing the calls among the output do: opening a page that was found is none (https://platform.openai.com/docs/guides/tools-web-search). Null when nothing was used.
 */
export function readResponseUsage({ usage, tool_usage: tools, output }: JsonObject): Usage | null {
  const used = readUsage(usage)
  const told = isObject(tools) && isObject(tools.web_search) ? count(tools.web_search.num_requests) : null
  const search = told ?? searchesIn(output)
  return used === null || search === 0 ? used : { ...used, search }
}

function searchesIn(output: unknown): number {
  return Array.isArray(output) ? output.filter(isSearch).length : 0
}

function isSearch(item: unknown): boolean {
  if (!isObject(item) || item.type !== 'web_search_call') return false
  return !isObject(item.action) || item.action.type === undefined || item.action.type === 'search'
}
