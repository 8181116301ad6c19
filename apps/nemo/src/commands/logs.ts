import { latestRequestLogs, type RequestLogRow } from '@nemo/postgres/request-logs'
import type { Command } from 'commander'
import { withOperator } from '../open-database.ts'
import { outputClosed, print, printJson } from '../output.ts'
import { beginFollowing } from './log-following.ts'
import { alignedLogs, logForProgram } from './log-lines.ts'
import { type CommonOptions, countOption, examples, withCommonOptions } from './options.ts'
import { whichOrganization } from './which-organization.ts'

export function addLogsCommand(program: Command): void {
  withCommonOptions(program.command('logs'))
    .description('Show the latest calls, oldest first.')
    .option('--follow', 'go on showing calls as they end, until Ctrl-C')
    .option('--organization <slug>', 'of one organization; of all unless told')
    .addOption(countOption('--limit <n>', 'how many', 50n))
    .addHelpText('after', examples('nemo logs --follow', "nemo logs --json --limit 1000 | jq 'select(.status >= 400)'"))
    .action(showLogs)
}

interface LogsOptions extends CommonOptions {
  follow?: boolean
  organization?: string
  limit: bigint
}

async function showLogs(options: LogsOptions): Promise<void> {
  const stop = new AbortController()
  const onSignal = () => stop.abort()
  if (options.follow) for (const signal of SIGNALS) process.once(signal, onSignal)
  try {
    await withOperator(options, async (operator) => {
      const organization = options.organization ? await whichOrganization(operator, options.organization) : null
      const filter = organization ? { organizationId: organization.id } : {}
      const show = options.json ? showJson : alignedLogs(print)
      const following = options.follow ? await beginFollowing(operator, filter) : null
      const latest = await latestRequestLogs(operator, { ...filter, limit: Number(options.limit) })
      show(latest)
      if (!following) return
      for await (const rows of following.next(latest, AbortSignal.any([stop.signal, outputClosed]))) show(rows)
    })
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

function showJson(rows: readonly RequestLogRow[]): void {
  for (const row of rows) printJson(logForProgram(row))
}
