import { once } from 'node:events'

/** The only place that writes to standard output. */
export function print(text: string): void {
  if (!closed.signal.aborted) process.stdout.write(`${text}\n`)
}

/** A piece of a larger output, as it is. Resolves when there is room for the next. */
export async function printPiece(text: string): Promise<void> {
  if (closed.signal.aborted || process.stdout.write(text)) return
  await once(process.stdout, 'drain', { signal: closed.signal }).catch(() => {})
}

/** One JSON value on one line. Amounts of money are strings already; other big integers are counts and become numbers. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? Number(member) : member)))
}

/** A remark beside the output, which a pipe doesn't carry on. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Columns under their headings, as wide as their widest cell. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => (row[i] ?? '').length)))
  for (const row of [headings, ...rows]) print(alignRow(row, widths))
}

export function alignRow(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join('  ')
    .trimEnd()
}

const closed = new AbortController()

/** Aborts when the reader has gone, as `nemo logs | head` does. */
export const outputClosed: AbortSignal = closed.signal

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  closed.abort()
})
