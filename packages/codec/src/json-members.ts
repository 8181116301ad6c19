/** One member of the top-level object: `key` decoded, and where its bytes are. `[start, end)` spans key, colon and value. */
export interface Member {
  readonly key: string
  readonly start: number
  readonly valueStart: number
  readonly end: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** No honest request is nested so deeply; whoever parses recursively, `JSON.stringify` and many a provider, would fall over it. */
const DEPTH_MAX = 1_000

/**
 * The members of a JSON object, by their bytes. The text must be valid JSON with an object at its top: parse it first. Strings are
 * skipped with a native search, so that a long prompt costs next to nothing. Throws a RangeError on a value that is nested too deeply.
 */
export function topLevelMembers(json: Buffer): Member[] {
  const members: Member[] = []
  let i = skipSpace(json, 0) + 1
  for (;;) {
    i = skipSpace(json, i)
    if (json[i] === CLOSE_BRACE) return members
    if (json[i] === COMMA) {
      i++
      continue
    }
    const start = i
    const keyEnd = skipString(json, i)
    const key = readKey(json, start, keyEnd)
    const valueStart = skipSpace(json, skipSpace(json, keyEnd) + 1)
    i = skipValue(json, valueStart)
    members.push({ key, start, valueStart, end: i })
  }
}

/** The bytes of a member's value, or null when there is no such member. */
export function valueBytes(json: Buffer, members: readonly Member[], key: string): Buffer | null {
  const member = members.find((candidate) => candidate.key === key)
  return member ? json.subarray(member.valueStart, member.end) : null
}

/** The elements of a JSON array, each as it is written. The text must be valid JSON with an array at its top. */
export function elementsOf(json: Buffer): string[] {
  const elements: string[] = []
  let i = skipSpace(json, 0) + 1
  for (;;) {
    i = skipSpace(json, i)
    if (json[i] === CLOSE_BRACKET) return elements
    if (json[i] === COMMA) {
      i++
      continue
    }
    const end = skipValue(json, i)
    elements.push(json.toString('utf8', i, end))
    i = end
  }
}

/** What becomes of members: a string is the JSON of the new value, null takes the member out. */
export type Edits = ReadonlyMap<string, string | null>

/**
 * The same object with some members replaced, removed or added, and every other byte as it was: numbers keep their digits, keys
 * their order, strings their escapes.
 */
export function editMembers(json: Buffer, members: readonly Member[], edits: Edits): Buffer {
  const parts: Buffer[] = []
  const missing = new Map(edits)
  let kept = 0
  let copied = 0
  const first = skipSpace(json, 0) + 1
  for (let m = 0; m < members.length; m++) {
    const member = members[m]!
    const edit = edits.get(member.key)
    missing.delete(member.key)
    if (edit === undefined) {
      kept++
      continue
    }
    if (edit === null) {
      // The comma before goes with it, or, while nothing is kept yet, the one behind.
      const from = kept > 0 ? members[m - 1]!.end : Math.max(first, copied)
      const to = kept > 0 || m === members.length - 1 ? member.end : members[m + 1]!.start
      if (from > copied) parts.push(json.subarray(copied, from))
      copied = to
      continue
    }
    kept++
    parts.push(json.subarray(copied, member.valueStart), Buffer.from(edit))
    copied = member.end
  }
  const end = json.lastIndexOf(CLOSE_BRACE)
  const additions = [...missing].filter((entry): entry is [string, string] => entry[1] !== null)
  parts.push(json.subarray(copied, end))
  for (const [key, value] of additions) {
    parts.push(Buffer.from(`${kept > 0 ? ',' : ''}${JSON.stringify(key)}:${value}`))
    kept++
  }
  parts.push(json.subarray(end))
  return Buffer.concat(parts)
}

function skipSpace(json: Buffer, i: number): number {
  while (json[i]! <= 0x20) i++
  return i
}

/** From an opening quote to behind the closing one. */
function skipString(json: Buffer, i: number): number {
  let end = json.indexOf(QUOTE, i + 1)
  while (isEscaped(json, end)) end = json.indexOf(QUOTE, end + 1)
  return end + 1
}

function isEscaped(json: Buffer, quote: number): boolean {
  let backslashes = 0
  while (json[quote - 1 - backslashes] === BACKSLASH) backslashes++
  return backslashes % 2 === 1
}

function skipValue(json: Buffer, i: number): number {
  let depth = 0
  for (;;) {
    const byte = json[i]
    if (byte === QUOTE) {
      i = skipString(json, i)
      if (depth === 0) return i
      continue
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth++
      if (depth > DEPTH_MAX) throw new RangeError(`a value is nested more than ${DEPTH_MAX} levels deep`)
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (depth === 0) return i
      depth--
      if (depth === 0) return i + 1
    } else if (depth === 0 && (byte === COMMA || byte! <= 0x20)) return i
    i++
  }
}

function readKey(json: Buffer, start: number, end: number): string {
  const raw = json.toString('utf8', start + 1, end - 1)
  return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
}
