import type { JsonObject } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'

/**
 * What backs the text, as OpenAI's `url_citation` has it (https://ai.google.dev/gemini-api/docs/google-search). A passage that is backed is found again by its words, since Google counts its place in bytes of a
 * part; what backs no passage in particular stands at the beginning. `text` is all that was said.
 */
export function annotationsOf({ groundingMetadata }: JsonObject, text: string): JsonObject[] {
  if (!isObject(groundingMetadata) || !Array.isArray(groundingMetadata.groundingChunks)) return []
  const sources = groundingMetadata.groundingChunks.map(sourceOf)
  const supports = Array.isArray(groundingMetadata.groundingSupports)
    ? groundingMetadata.groundingSupports.filter(isObject)
    : []
  const cited = new Set<number>()
  const annotations: JsonObject[] = []
  let last = { at: 0, bytes: -1 }
  for (const { segment, groundingChunkIndices } of supports) {
    const { text: words, startIndex } = isObject(segment) ? segment : {}
    if (typeof words !== 'string' || words === '') continue
    const bytes = typeof startIndex === 'number' ? startIndex : 0
    // The same words further on are another passage.
    const start = text.indexOf(words, bytes > last.bytes && last.bytes >= 0 ? last.at + 1 : last.at)
    if (start < 0) continue
    last = { at: start, bytes }
    for (const index of Array.isArray(groundingChunkIndices) ? groundingChunkIndices : []) {
      const source = sources[index]
      if (!source) continue
      cited.add(index)
      annotations.push(citation(source, start, start + words.length))
    }
  }
  sources.forEach((source, i) => {
    if (source && !cited.has(i)) annotations.push(citation(source, 0, 0))
  })
  return annotations
}

type Cited = { readonly url: string; readonly title: string }

/** A page of the web, of one's own documents, or a place on a map. */
function sourceOf(chunk: unknown): Cited | null {
  const { web, retrievedContext, maps } = isObject(chunk) ? chunk : {}
  const found = [web, retrievedContext, maps].find(isObject)
  const url = textOrNull(found?.uri)
  return url === null ? null : { url, title: textOrNull(found?.title) ?? '' }
}

function citation({ url, title }: Cited, start_index: number, end_index: number): JsonObject {
  return { type: 'url_citation', url_citation: { url, title, start_index, end_index } }
}
