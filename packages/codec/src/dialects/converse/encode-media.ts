import type { ContentPart, JsonObject, Source, TextPart } from '../../chat/request.ts'

type MediaPart = Exclude<ContentPart, TextPart>

/**
 * An image, document, video or sound as a block (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html): in base64, or from S3. Null, once `refuse` has
 * been told why, where the API takes no such thing.
 */
export function encodeMedia(
  part: MediaPart,
  documents: DocumentNames,
  refuse: (why: string) => void,
): JsonObject | null {
  switch (part.type) {
    case 'image':
      return encode('image', part.source, IMAGE_FORMATS, refuse)
    case 'video':
      return encode('video', part.source, VIDEO_FORMATS, refuse)
    case 'audio':
      return AUDIO_FORMATS.has(part.format)
        ? { audio: { format: part.format, source: { bytes: part.data } } }
        : refused(refuse, `Bedrock takes audio as ${[...AUDIO_FORMATS].join(', ')}.`)
    case 'document':
      return encodeDocument(part, documents, refuse)
  }
}

/** By media type or extension: API_runtime_ImageBlock.html. */
const IMAGE_FORMATS: Formats = { png: 'png', jpeg: 'jpeg', jpg: 'jpeg', gif: 'gif', webp: 'webp' }

/** API_runtime_VideoBlock.html */
const VIDEO_FORMATS: Formats = {
  ...{ mkv: 'mkv', mov: 'mov', mp4: 'mp4', webm: 'webm', flv: 'flv', mpeg: 'mpeg', mpg: 'mpg', wmv: 'wmv' },
  ...{
    quicktime: 'mov',
    'x-matroska': 'mkv',
    'x-flv': 'flv',
    'x-ms-wmv': 'wmv',
    '3gpp': 'three_gp',
    '3gp': 'three_gp',
  },
}

/** API_runtime_AudioBlock.html */
const AUDIO_FORMATS = new Set([
  ...['mp3', 'opus', 'wav', 'aac', 'flac', 'mp4', 'ogg', 'mkv', 'mka', 'x-aac', 'm4a', 'mpeg', 'mpga', 'pcm', 'webm'],
])

/** API_runtime_DocumentBlock.html */
const DOCUMENT_FORMATS: Formats = {
  ...{
    pdf: 'pdf',
    csv: 'csv',
    doc: 'doc',
    docx: 'docx',
    xls: 'xls',
    xlsx: 'xlsx',
    html: 'html',
    htm: 'html',
    txt: 'txt',
  },
  ...{ md: 'md', plain: 'txt', markdown: 'md', msword: 'doc', 'vnd.ms-excel': 'xls' },
  'vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
}

type Formats = Readonly<Record<string, string>>

function encode(
  kind: 'image' | 'video',
  source: Source,
  formats: Formats,
  refuse: (why: string) => void,
): JsonObject | null {
  const encoded = encodeSource(source)
  if (encoded === null) return refused(refuse, `Bedrock takes each ${kind} in base64 or from s3://, not by URL.`)
  const format = formatOf(source, formats)
  return format === null ? refused(refuse, unknownFormat(kind, formats)) : { [kind]: { format, source: encoded } }
}

function encodeDocument(
  { source, name }: Extract<MediaPart, { type: 'document' }>,
  documents: DocumentNames,
  refuse: (why: string) => void,
): JsonObject | null {
  const encoded = source.kind === 'text' ? { text: source.text } : encodeSource(source)
  if (encoded === null) return refused(refuse, 'Bedrock takes documents in base64 or from s3://, not by URL.')
  const format =
    source.kind === 'text' ? 'txt' : (formatOf(source, DOCUMENT_FORMATS) ?? formatIn(name ?? '', DOCUMENT_FORMATS))
  if (format === null) return refused(refuse, unknownFormat('document', DOCUMENT_FORMATS))
  return { document: { format, name: documents.of(name), source: encoded } }
}

function refused(refuse: (why: string) => void, why: string): null {
  refuse(why)
  return null
}

function unknownFormat(kind: string, formats: Formats): string {
  return `Bedrock takes a ${kind} as ${[...new Set(Object.values(formats))].join(', ')}.`
}

function encodeSource(source: Source): JsonObject | null {
  if (source.kind === 'base64') return { bytes: source.data }
  return source.kind === 'url' && source.url.startsWith('s3://') ? { s3Location: { uri: source.url } } : null
}

function formatOf(source: Source, formats: Formats): string | null {
  if (source.kind === 'base64') return formats[source.mediaType.split('/')[1] ?? ''] ?? null
  return source.kind === 'url' ? formatIn(source.url, formats) : null
}

function formatIn(name: string, formats: Formats): string | null {
  const extension = /\.([a-z0-9]{2,4})$/i.exec(name)?.[1]?.toLowerCase()
  return (extension && formats[extension]) || null
}

/** Names may have letters, digits, single spaces, hyphens and brackets, at most 200 of them, and must differ within a request. */
export class DocumentNames {
  readonly #taken = new Set<string>()

  of(given: string | null): string {
    const plain = (given ?? '').replace(/\.[a-z0-9]{2,4}$/i, '').replace(/[^A-Za-z0-9()[\]-]+/g, ' ')
    const name = plain.trim().slice(0, 190).trim() || 'document'
    let unique = name
    for (let i = 2; this.#taken.has(unique.toLowerCase()); i++) unique = `${name} ${i}`
    this.#taken.add(unique.toLowerCase())
    return unique
  }
}
