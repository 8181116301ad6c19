import { once } from 'node:events'
import type { Command } from 'commander'
import { openLog } from '../log.ts'
import { print, printJson } from '../output.ts'
import { greet, greetingForProgram } from '../start/greeting.ts'
import { start } from '../start/start.ts'
import { readStartOptions, type StartFlags } from '../start/start-options.ts'
import { onStopSignal } from '../start/stop-signals.ts'
import { Teardown } from '../start/teardown.ts'
import { examples, withCommonOptions } from './options.ts'

export function addStartCommand(program: Command): void {
  withCommonOptions(program.command('start'))
    .description('Start the gateway, with a PostgreSQL of its own unless DATABASE_URL names one.')
    .option('--port <port>', 'where to listen (NEMO_PORT, PORT; 4000 unless told)')
    .option('--host <address>', 'on which address (NEMO_HOST; 127.0.0.1 unless told)')
    .option('--no-sandbox', 'no sandbox, even when there is no provider')
    .option('--demo', 'make a demo organization in an empty database of DATABASE_URL too (NEMO_DEMO=1)')
    .option('--no-demo', 'make no demo organization')
    .addHelpText(
      'after',
      examples(
        'nemo start',
        'nemo start --port 8080 --host 0.0.0.0',
        'DATABASE_URL=postgres://nemo@db/nemo nemo start',
      ),
    )
    .action(run)
}

/** How long stopping may take beyond the drain: PostgreSQL alone may need 40 s. */
const TEARDOWN_MS = 60_000

/** Starts, and ends the process when it is told to stop. Throws what keeps it from starting, with everything cleaned up. */
async function run(flags: StartFlags): Promise<void> {
  const options = readStartOptions(flags)
  const log = openLog()
  const teardown = new Teardown(log)
  const stop = new AbortController()
  let code = 0
  const fail = (what: string) => (err: unknown) => {
    log.error({ err }, what)
    code = 1
    stop.abort()
  }
  onStopSignal((signal) => {
    log.info({ signal }, 'stopping')
    stop.abort()
  })
  process.on('unhandledRejection', fail('a failure that nobody handled; stopping'))
  process.on('uncaughtException', fail('an exception that nobody caught; stopping'))

  try {
    const onGiveUp = fail('PostgreSQL is down for good; stopping')
    const greeting = await start(options, { teardown, log, stop: stop.signal, onGiveUp })
    if (options.json) printJson(greetingForProgram(greeting))
    else print(greet(greeting))
  } catch (error) {
    await teardown.run()
    if (!stop.signal.aborted) throw error
  }
  if (!stop.signal.aborted) await once(stop.signal, 'abort')
  setTimeout(() => process.exit(1), options.settings.drainMs + TEARDOWN_MS).unref()
  const clean = await teardown.run()
  process.exit(clean ? code : 1)
}
