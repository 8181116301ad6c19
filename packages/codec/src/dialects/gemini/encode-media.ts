import type { ContentPart, JsonObject, Source } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'

/** What of a name's ending is known: Google wants to be told what is behind a URL (https://ai.google.dev/gemini-api/docs/file-input-methods). */
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  ...{ png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', webp: 'image/webp', gif: 'image/gif' },
  ...{ heic: 'image/heic', heif: 'image/heif', bmp: 'image/bmp' },
  ...{ pdf: 'application/pdf', txt: 'text/plain', md: 'text/markdown', csv: 'text/csv', html: 'text/html' },
  ...{ xml: 'text/xml', json: 'application/json' },
  ...{ mp4: 'video/mp4', mpeg: 'video/mpeg', mov: 'video/quicktime', webm: 'video/webm', wmv: 'video/wmv' },
  ...{ wav: 'audio/wav', mp3: 'audio/mp3', m4a: 'audio/m4a', ogg: 'audio/ogg', flac: 'audio/flac' },
}

const MOST_LIKELY = { image: 'image/jpeg', document: 'application/pdf', video: 'video/mp4' } as const

/** Parts of a content: https://ai.google.dev/api/caching#Part. Empty texts are refused, and say nothing. */
export function encodeParts(
  parts: readonly ContentPart[],
  path: string,
  target: Pick<Target, 'hosting' | 'unsupported'>,
): JsonObject[] {
  return parts.flatMap((part, i): JsonObject[] => {
    switch (part.type) {
      case 'text':
        return part.text === '' ? [] : [{ text: part.text }]
      case 'audio':
        return [{ inlineData: { mimeType: `audio/${part.format}`, data: part.data } }]
      default:
        return encodeSource(part.source, MOST_LIKELY[part.type], `${path}.content[${i}]`, target)
    }
  })
}

function encodeSource(
  source: Source,
  mostLikely: string,
  path: string,
  { hosting, unsupported }: Pick<Target, 'hosting' | 'unsupported'>,
): JsonObject[] {
  switch (source.kind) {
    case 'base64':
      return [{ inlineData: { mimeType: source.mediaType, data: source.data } }]
    case 'text':
      return source.text === '' ? [] : [{ text: source.text }]
    case 'url':
      return [{ fileData: { mimeType: typeOf(source.url) ?? mostLikely, fileUri: source.url } }]
    case 'file': {
      const mimeType = typeOf(source.id)
      // A file that was uploaded is known by its URI, and what it is, is known with it (https://ai.google.dev/api/files).
      if (/^(https|gs):\/\//.test(source.id))
        return [{ fileData: { ...(mimeType && { mimeType }), fileUri: source.id } }]
      if (hosting === 'native' && /^files\/[a-z0-9-]+$/.test(source.id)) {
        return [{ fileData: { fileUri: `https://generativelanguage.googleapis.com/v1beta/${source.id}` } }]
      }
      unsupported(path, 'Files are known by their URI here: one of the Files API, or gs://.')
      return []
    }
  }
}

function typeOf(url: string): string | null {
  const ending = /\.([a-z0-9]+)(?:[?#]|$)/i.exec(url.replace(/^https?:\/\/[^/]*/, ''))?.[1]?.toLowerCase() ?? ''
  return MEDIA_TYPES[ending] ?? null
}
