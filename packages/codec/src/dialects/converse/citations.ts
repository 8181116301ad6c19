import type { JsonObject } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'

/**
 * A citation of a page of the web as OpenAI has it; any other as it came (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html). `place` is
 * where the cited text stands.
 */
export function readCitation(citation: JsonObject, place: { readonly start: number; readonly end: number }): unknown {
  const web = isObject(citation.location) ? citation.location.web : null
  if (!isObject(web) || typeof web.url !== 'string') return citation
  const title = typeof citation.title === 'string' ? citation.title : ''
  return {
    type: 'url_citation',
    url_citation: { url: web.url, title, start_index: place.start, end_index: place.end },
  }
}
