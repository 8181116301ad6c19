import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from '../chat/request.ts'
import { isObject } from '../fields.ts'
import { count, readUsage, withoutZeros } from './openai.ts'

/**
 * What a response used (https://platform.openai.com/docs/api-reference/responses/object): its tokens, and the searches that OpenAI bills beside them. Null where it says nothing of its tokens.
 */
export function readResponseUsage(response: JsonObject): Usage | null {
  const used = readUsage(response.usage)
  return used === null ? null : { ...used, ...searchesIn(response) }
}

/**
 * Those of the web `tool_usage` counts; where that is missing the calls among the output do: opening a page that was found is none
 * (https://platform.openai.com/docs/guides/tools-web-search). The older tool for them has a price of its own.
 */
export function searchesIn({ tool_usage: counted, output, tools }: JsonObject): Usage {
  const told = isObject(counted) && isObject(counted.web_search) ? count(counted.web_search.num_requests) : null
  const searches = told ?? countOf(output, isWebSearch)
  const isPreview = countOf(tools, ({ type }) => String(type).startsWith('web_search_preview')) > 0
  return withoutZeros({
    [isPreview ? 'searchPreview' : 'search']: searches,
    fileSearch: countOf(output, ({ type }) => type === 'file_search_call'),
  })
}

function countOf(items: unknown, is: (item: JsonObject) => boolean): number {
  return Array.isArray(items) ? items.filter((item) => isObject(item) && is(item)).length : 0
}

function isWebSearch({ type, action }: JsonObject): boolean {
  if (type !== 'web_search_call') return false
  return !isObject(action) || action.type === undefined || action.type === 'search'
}
