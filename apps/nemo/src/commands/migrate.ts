import { migrate } from '@nemo/postgres/migrate'
import type { Command } from 'commander'
import { withServer } from '../open-database.ts'
import { print, printJson } from '../output.ts'
import { type CommonOptions, examples, withCommonOptions } from './options.ts'

export function addMigrateCommand(program: Command): void {
  withCommonOptions(program.command('migrate'))
    .description(
      'Bring the schema of the database up to this release. "nemo start" does it too; doing it twice changes nothing.',
    )
    .addHelpText('after', examples('DATABASE_URL=postgres://owner@db/nemo nemo migrate'))
    .action(run)
}

async function run(options: CommonOptions): Promise<void> {
  const report = await withServer(options, ({ url }) => migrate(url))
  if (options.json) return printJson({ applied: report.applied, functions_replaced: report.functionsReplaced })
  for (const name of report.applied) print(`applied ${name}`)
  if (report.functionsReplaced) print('replaced the functions')
  if (report.applied.length === 0 && !report.functionsReplaced) print('The schema is up to date.')
}
