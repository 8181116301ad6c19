import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

/** What one request came to: what it spent of which limits, and its log row. Applied to Postgres exactly once, by its sequence. */
export interface JournalRecord {
  readonly sequence: number
  /** What was charged, once per limit on cost that it counts against. Amounts are decimal strings of nanodollars. */
  readonly spent: readonly { readonly limit_id: string; readonly window_start: string; readonly amount: string }[]
  /** The row of request_logs, as JSON. */
  readonly log: string
}

const SEGMENT_BYTES = 16 * 1024 * 1024
/** A file is kept for the next records as long as it is small against what the journal may hold. */
const SMALL_PART = 16

interface Segment {
  readonly path: string
  readonly fd: number
  bytes: number
  lastSequence: number
}

/**
 * A process's journal: files of lines `crc32 json`. A record is written before the client gets the end of its answer, and kept until Postgres
 * has it. A write survives the death of the process; with `sync` also that of the machine.
 */
export class Journal {
  readonly folder: string
  readonly #sync: boolean
  readonly #bytesMax: number
  readonly #segmentBytes: number
  #segments: Segment[] = []
  #bytes = 0
  #files = 0

  /** Throws when the folder can't be made. */
  constructor(folder: string, options: { bytesMax: number; sync: boolean }) {
    this.folder = folder
    this.#sync = options.sync
    this.#bytesMax = options.bytesMax
    this.#segmentBytes = Math.min(SEGMENT_BYTES, options.bytesMax / 2)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** Bytes of records that Postgres doesn't have yet, give or take a segment. */
  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax
  }

  /** Writes records with one write. Throws when they can't be written in full: then none of them is in the journal. */
  append(records: readonly JournalRecord[]): void {
    const lines = Buffer.from(records.map(lineOf).join(''))
    const segment = this.#current()
    try {
      const written = writeSync(segment.fd, lines, 0, lines.length, segment.bytes)
      if (written !== lines.length)
        throw new Error(`only ${written} of ${lines.length} bytes could be written to the journal`)
      if (this.#sync) fsyncSync(segment.fd)
    } catch (error) {
      // A part of them is as good as none, and the next are written in their place, which they may not fill.
      ftruncateSync(segment.fd, segment.bytes)
      throw error
    }
    segment.bytes += lines.length
    segment.lastSequence = records.at(-1)!.sequence
    this.#bytes += lines.length
  }

  /** Forgets the segments whose records have all been applied. */
  applied(sequence: number): void {
    while (this.#segments.length > 0 && this.#segments[0]!.lastSequence <= sequence) {
      const [segment] = this.#segments
      if (this.#segments.length === 1 && segment!.bytes < this.#segmentBytes / SMALL_PART) return
      this.#segments.shift()
      closeSync(segment!.fd)
      unlinkSync(segment!.path)
      this.#bytes -= segment!.bytes
    }
  }

  /** Closes the journal; with everything applied there is nothing to keep. */
  close(keep: boolean): void {
    for (const segment of this.#segments) closeSync(segment.fd)
    this.#segments = []
    if (!keep) rmSync(this.folder, { recursive: true, force: true })
  }

  #current(): Segment {
    const last = this.#segments.at(-1)
    if (last && last.bytes < this.#segmentBytes) return last
    const path = join(this.folder, `${String(this.#files++).padStart(8, '0')}.journal`)
    const segment = { path, fd: openSync(path, 'wx', 0o600), bytes: 0, lastSequence: 0 }
    this.#segments.push(segment)
    // A line that is on the disk is lost all the same when its file's name isn't.
    if (this.#sync) forceToDisk(this.folder)
    return segment
  }
}

function lineOf({ sequence, spent, log }: JournalRecord): string {
  const json = `{"sequence":${sequence},"spent":${JSON.stringify(spent)},"log":${log}}`
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`
}

/** Makes what was written to a file, or the names in a folder, outlive the machine. */
export function forceToDisk(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/**
 * The records of a journal that its process left behind, in order, and how many lines of it can't be read. What follows the last line's end was cut by the process's
 * death, or by a full disk, and isn't counted: its client never got its answer's end.
 */
export function readJournal(folder: string): { readonly records: JournalRecord[]; readonly unreadable: number } {
  const records: JournalRecord[] = []
  let unreadable = 0
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith('.journal'))
    .sort()) {
    const lines = readFileSync(join(folder, name), 'utf8').split('\n')
    for (const [i, line] of lines.entries()) {
      const json = line.slice(9)
      if (line.length < 9 || crc32(json).toString(16).padStart(8, '0') !== line.slice(0, 8)) {
        if (i < lines.length - 1) unreadable++
        continue
      }
      const { sequence, spent, log } = JSON.parse(json)
      records.push({ sequence, spent, log: JSON.stringify(log) })
    }
  }
  return { records: records.sort((a, b) => a.sequence - b.sequence), unreadable }
}
