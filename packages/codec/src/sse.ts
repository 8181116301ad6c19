const LF = 0x0a
const CR = 0x0d

/**
 * The end of the last complete event in the bytes, or 0 when none is complete. Events end with an empty line; lines end with LF,
 * CRLF or CR (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
 */
export function endOfLastEvent(bytes: Buffer): number {
  for (let i = bytes.length - 1; i > 0; i--) {
    i = lastLineEnd(bytes, i)
    if (i <= 0) return 0
    const end = endOfEventAt(bytes, i)
    if (end > 0) return end
  }
  return 0
}

/** The end of the first event from `start` on that is complete, or 0. */
export function endOfNextEvent(bytes: Buffer, start: number): number {
  for (let i = start + 1; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte !== LF && byte !== CR) continue
    const end = endOfEventAt(bytes, i)
    if (end > start) return end
  }
  return 0
}

/** The first whole events of a stream's bytes: such a part of them, from 0 to 1, rounded down. */
export function firstEvents(bytes: Buffer, part: number): Buffer {
  const ends: number[] = []
  for (let end = endOfNextEvent(bytes, 0); end > 0; end = endOfNextEvent(bytes, end)) ends.push(end)
  return bytes.subarray(0, ends[Math.floor(ends.length * part) - 1] ?? 0)
}

/** Whether a line ends in these bytes: what has none can't end an event. */
export function hasLineEnd(bytes: Buffer): boolean {
  return bytes.includes(LF) || bytes.includes(CR)
}

/** The data of one event: its `data:` lines joined with LF, or null when it has none (a comment, a keep-alive). */
export function dataOf(event: Buffer): string | null {
  let data: string | null = null
  for (const line of event.toString('utf8').split(/\r\n|\n|\r/)) {
    if (!line.startsWith('data:')) continue
    const value = line.startsWith('data: ') ? line.slice(6) : line.slice(5)
    data = data === null ? value : `${data}\n${value}`
  }
  return data
}

/** Whether the line end at `i` is that of an empty line, and if so where the event ends: behind it. */
function endOfEventAt(bytes: Buffer, i: number): number {
  // Of CRLF only the LF ends a line; a CR at the very end may be half of one, so it waits.
  if (bytes[i] === CR && (i + 1 === bytes.length || bytes[i + 1] === LF)) return 0
  const before = bytes[i] === LF && bytes[i - 1] === CR ? i - 2 : i - 1
  return bytes[before] === LF || bytes[before] === CR ? i + 1 : 0
}

function lastLineEnd(bytes: Buffer, from: number): number {
  return Math.max(bytes.lastIndexOf(LF, from), bytes.lastIndexOf(CR, from))
}
