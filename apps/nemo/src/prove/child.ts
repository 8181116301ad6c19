import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { namedProcess } from '@nemo/embedded-postgres/process-identity'
import { Gateway } from '@nemo/gateway/gateway'
import { type GatewayServer, listen } from '@nemo/gateway/server'
import { DEFAULT_SETTINGS } from '@nemo/gateway/settings'
import { startSandbox } from '@nemo/sandbox/sandbox'
import { Failure } from '../failure.ts'
import { type Log, openLog } from '../log.ts'
import { printJson } from '../output.ts'

/** What a process of the proof is told, in this variable: a command line can be read by others, and this has secrets. */
export const TASK = 'NEMO_PROVE_TASK'

export type Task =
  | { readonly kind: 'provider' }
  | {
      readonly kind: 'gateway'
      readonly databaseUrl: string
      readonly masterKey: string
      readonly journalFolder: string
      /** 0 at the first start; later the one that it had, as a supervisor would do. */
      readonly port: number
    }

const DRAIN_MS = 10_000
const RETRY_MS = 100

/** One process of the proof. Says its port on standard output, and ends at SIGTERM, or when the process that started it is gone. */
export async function runChild(): Promise<void> {
  const text = process.env[TASK]
  if (text === undefined) throw new Failure('This command is a part of "nemo prove", and is not for use by itself.')
  const task = JSON.parse(text) as Task
  // A Ctrl-C in the terminal goes to all of us; it is for the one who leads.
  process.on('SIGINT', () => {})
  process.stdin.on('end', () => process.exit(1)).resume()
  const stopped = once(process, 'SIGTERM')
  if (task.kind === 'provider') {
    const sandbox = await startSandbox()
    printJson({ port: sandbox.port })
    await stopped
    await sandbox.close()
  } else {
    const log = openLog()
    const { gateway, server } = await startGateway(task, log)
    printJson({ port: server.port })
    await stopped
    log.info({ active: server.active, open: gateway.ledger.open }, 'draining')
    const cut = await server.drain(DRAIN_MS)
    log.info({ cut, open: gateway.ledger.open }, 'drained')
    await gateway.close()
    log.info({}, 'closed')
  }
  process.exit(0)
}

async function startGateway(
  task: Extract<Task, { kind: 'gateway' }>,
  log: Log,
): Promise<{ gateway: Gateway; server: GatewayServer }> {
  const gateway = await started(task, log)
  const server = await listen(gateway, { host: '127.0.0.1', port: task.port })
  return { gateway, server }
}

/** As a supervisor would: again and again, while Postgres is away. */
async function started(task: Extract<Task, { kind: 'gateway' }>, log: Log): Promise<Gateway> {
  for (;;) {
    try {
      return await Gateway.start({
        databaseUrl: task.databaseUrl,
        masterKey: Buffer.from(task.masterKey, 'hex'),
        journalFolder: task.journalFolder,
        journalOwner: namedProcess,
        // Providers that hang are given up soon, or the proof would wait for nothing else.
        settings: { ...DEFAULT_SETTINGS, retriesMax: 1, firstByteTimeoutMs: 2_000, idleTimeoutMs: 2_000 },
        log,
      })
    } catch (err) {
      log.warn({ err }, 'the gateway could not start yet')
      await sleep(RETRY_MS)
    }
  }
}
