import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { note, print, printJson } from '../output.ts'
import { runChild } from '../prove/child.ts'
import { type ProveFlags, type ProveOptions, readProveOptions } from '../prove/options.ts'
import { type Progress, prove } from '../prove/prove.ts'
import { isProven, type Report, reportForPeople, reportForProgram } from '../prove/report.ts'
import { onStopSignal } from '../start/stop-signals.ts'
import { countOption, examples } from './options.ts'

export function addProveCommand(program: Command): void {
  program
    .command('prove')
    .description(
      'Prove on this machine that money and limits stay exact: several gateway processes under thousands of callers, with processes ' +
        'killed and Postgres restarted under their hands, in a database of its own. Exits with 0 only when nothing drifted.',
    )
    .addOption(countOption('--processes <n>', 'gateway processes', 4n))
    .addOption(countOption('--racers <n>', 'callers at once', 2_000n))
    .option('--duration <time>', 'how long they race, like 60s or 20m', '60s')
    .option('--seed <n>', 'repeats the chance of an earlier proof')
    .option('--kill-every <time>', 'how often a process is killed; 0 for never', '1s')
    .option('--postgres-restarts <n>', 'how often Postgres is ended and started again', '2')
    .option('--report <file>', 'write the report there too, as JSON')
    .option('--keep', 'keep the database and the logs')
    .option('--json', 'print JSON for a program')
    .addHelpText(
      'after',
      `\nWithout DATABASE_URL it brings up a PostgreSQL of its own; with it, it makes a database there, drops it in the end, and ` +
        `cuts connections instead of restarting the server.\n${examples('nemo prove', 'nemo prove --duration 20m --report proof.json', 'nemo prove --seed 42 --racers 200 --duration 30s')}`,
    )
    .action(run)
  program.command('prove-child', { hidden: true }).action(runChild)
}

async function run(flags: ProveFlags): Promise<void> {
  const options = readProveOptions(flags)
  const stop = new AbortController()
  onStopSignal(() => {
    note('Stopping and cleaning up.')
    stop.abort()
  })
  note(`Seed ${options.seed}. This takes about ${Math.ceil(options.durationMs / 1000) + 20} seconds.`)
  const report = await prove(options, progressOf(options), stop.signal)
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  if (!report) {
    note('Stopped before the end: nothing is proven.')
    process.exit(130)
  }
  await tell(report, flags)
  process.exit(isProven(report) ? 0 : 1)
}

async function tell(report: Report, { json, report: file }: ProveFlags): Promise<void> {
  if (file !== undefined) await writeFile(file, `${JSON.stringify(reportForProgram(report), null, 2)}\n`)
  if (json) printJson(reportForProgram(report))
  else print(reportForPeople(report))
}

const LINE_EVERY_MS = 10_000

/** One line that is written over each second at a terminal, and a line now and then elsewhere. */
function progressOf({ durationMs }: ProveOptions): Progress {
  let lastLineAt = 0
  return ({ phase, elapsedMs, calls, kills, broken }) => {
    const seconds = `${Math.round(elapsedMs / 1000)} of ${Math.round(durationMs / 1000)} s`
    const line = `${phase}, ${seconds}: ${calls} calls, ${kills} kills, ${broken} found broken`
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
    else if (elapsedMs - lastLineAt >= LINE_EVERY_MS) {
      lastLineAt = elapsedMs
      note(line)
    }
  }
}
