/** What an experiment found: rows of one table, and whether the books were exact at its end. */
export interface Outcome {
  readonly title: string
  readonly rows: readonly Readonly<Record<string, string | number>>[]
  readonly notes: readonly string[]
  readonly exact: boolean
}

export interface Options {
  readonly quick: boolean
  readonly keys: number | null
  /** Whether time passes as it would, rather than as fast as it can. */
  readonly byTheClock: boolean
}

export type Experiment = (options: Options) => Promise<Outcome>

/** Prints it as Markdown. */
export function print({ title, rows, notes, exact }: Outcome): void {
  const columns = Object.keys(rows[0] ?? {})
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const lines = [
    `**${title}**`,
    '',
    line(columns),
    line(columns.map((_, i) => (i === 0 ? '---' : '--:'))),
    ...rows.map((row) => line(columns.map((column) => text(row[column] ?? '')))),
    '',
    ...notes.map((note) => `- ${note}`),
    `- exact: ${exact ? 'yes' : 'NO'}`,
    '',
    '',
  ]
  process.stdout.write(lines.join('\n'))
}

function text(value: string | number): string {
  if (typeof value === 'string') return value
  const digits = Number.isInteger(value) || Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
