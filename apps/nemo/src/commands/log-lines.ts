import { requestIdOf } from '@nemo/domain/ids'
import { formatUsd } from '@nemo/domain/money'
import type { RequestLogRow } from '@nemo/postgres/request-logs'
import { localTime } from '../local-time.ts'
import { alignRow } from '../output.ts'

const COLUMNS = [
  ['TIME', 19],
  ['ORGANIZATION', 12],
  ['KEY', 12],
  ['MODEL', 22],
  ['PROVIDER', 10],
  ['STATUS', 6],
  ['TOKENS', 11],
  ['COST', 12],
  ['TOOK', 8],
  ['REQUEST', 36],
] as const

const WIDTH_MAX = 40

/** Writes rows as a table that grows: the columns are as wide as what is usual in them, for nobody knows what is still to come. */
export function alignedLogs(write: (line: string) => void): (rows: readonly RequestLogRow[]) => void {
  const widths: number[] = COLUMNS.map(([, width]) => width)
  const headings = COLUMNS.map(([heading]) => heading)
  let begun = false
  return (rows) => {
    const lines = rows.map(cellsOf)
    if (!begun)
      widths.forEach((width, i) => {
        widths[i] = Math.max(width, ...lines.map((cells) => Math.min(cells[i]?.length ?? 0, WIDTH_MAX)))
      })
    if (!begun) write(alignRow(headings, widths))
    begun = true
    for (const cells of lines) write(alignRow(cells, widths))
  }
}

function cellsOf(row: RequestLogRow): string[] {
  const tokens = row.input_tokens === null ? '–' : `${row.input_tokens}+${row.output_tokens ?? 0}`
  return [
    localTime(row.started_at),
    row.organization,
    row.key_alias,
    row.model_group ?? '–',
    row.provider ?? '–',
    String(row.status),
    row.estimated ? `~${tokens}` : tokens,
    row.cost_nanos === null ? '–' : `$${formatUsd(row.cost_nanos)}`,
    `${row.latency_ms} ms`,
    requestIdOf(row.id),
    ...(row.error_code ? [row.error_code] : []),
    ...(row.error_detail ? [row.error_detail.slice(0, 200).replace(/\s+/g, ' ')] : []),
  ]
}

/** The row for a program: the request's id as callers see it, money as decimal strings of USD, times in ISO. */
export function logForProgram(row: RequestLogRow): object {
  const { id, cost_nanos: cost, loss_nanos: loss, usage, ...rest } = row
  return {
    request_id: requestIdOf(id),
    ...rest,
    usage,
    cost_usd: cost === null ? null : formatUsd(cost),
    loss_usd: formatUsd(loss),
  }
}
