import { join } from 'node:path'
import { openMail } from '@nemo/control/mail/open-mail'
import { type RunningControl, startControl } from '@nemo/control/start'
import type { MasterKeys } from '@nemo/domain/vault'
import { namedProcess } from '@nemo/embedded-postgres/process-identity'
import { Gateway } from '@nemo/gateway/gateway'
import { VERSION } from '@nemo/gateway/routes'
import { type GatewayServer, listen } from '@nemo/gateway/server'
import { loadCatalogue } from '@nemo/postgres/catalogue'
import { connect } from '@nemo/postgres/connect'
import { migrate } from '@nemo/postgres/migrate'
import type pg from 'pg'
import { variable } from '../environment.ts'
import { Failure } from '../failure.ts'
import type { Log } from '../log.ts'
import { newOperatorClaim } from '../operator-claim.ts'
import { masterKeyFor } from '../stored-secrets.ts'
import { refreshDaily } from './catalogue-refresh.ts'
import { makeDemo } from './demo.ts'
import type { Greeting } from './greeting.ts'
import { proveNightly } from './nightly-proof.ts'
import { openPostgres, takeDataFolder } from './open-postgres.ts'
import { keepPartitionsAhead } from './partitions.ts'
import { takeProvidersOfEnvironment } from './providers-of-environment.ts'
import { leaveSandbox, useSandbox } from './sandbox-provider.ts'
import type { StartOptions } from './start-options.ts'
import type { Teardown } from './teardown.ts'

/**
 * Brings up everything that the options ask for, and answers with what to greet the operator with. What was started is in `teardown`,
 * also when this throws; it throws soon after `stop` aborts.
 */
export async function start(
  options: StartOptions,
  {
    teardown,
    log,
    stop,
    onGiveUp,
  }: { teardown: Teardown; log: Log; stop: AbortSignal; onGiveUp: (error: Error) => void },
): Promise<Greeting> {
  takeDataFolder(options, teardown)
  const databaseUrl = await openPostgres(options, teardown, log, onGiveUp)
  stop.throwIfAborted()
  await migrate(databaseUrl)
  stop.throwIfAborted()

  const operator = connect(databaseUrl, 'nemo_operator', {
    max: 2,
    onError: (err) => log.warn({ err }, 'a database connection broke'),
  })
  teardown.add('the operator’s connections', () => operator.end())
  await keepPartitionsAhead(operator, teardown, log)
  const masterKey = await openCatalogue(options, operator, teardown, log)
  stop.throwIfAborted()

  const gateway = await Gateway.start({
    databaseUrl,
    masterKey,
    journalFolder: join(options.dataFolder, 'journal'),
    journalOwner: namedProcess,
    journalSync: variable('NEMO_JOURNAL_SYNC') === '1',
    metricsToken: variable('NEMO_METRICS_TOKEN') ?? null,
    settings: options.settings,
    log,
  })
  teardown.add('the gateway', () => gateway.close())
  proveNightly(operator, gateway, teardown, log)
  refreshDaily(operator, teardown, log)
  const control = await openControl(options, { databaseUrl, masterKey, gateway, log })
  teardown.add('the control plane', () => control.close())
  const server = await listenOn(gateway, control, options)
  teardown.add('the server', () => drain(server, options, log))

  // Only now, so that neither a key nor a token is made that nobody gets to see.
  const demo = options.demo ? await makeDemo(operator) : null
  const claim = await newOperatorClaim(operator, control.control.publicUrl)
  return {
    url: reachableUrl(options.host, server.port),
    version: VERSION,
    dataFolder: options.dataFolder,
    isEmbedded: options.databaseUrl === null,
    demo,
    claim,
    catalogue: gateway.catalogue,
  }
}

/** The control plane, which the gateway's server hands its requests to. */
function openControl(
  options: StartOptions,
  { databaseUrl, masterKey, gateway, log }: { databaseUrl: string; masterKey: MasterKeys; gateway: Gateway; log: Log },
): Promise<RunningControl> {
  const mail = openMail({
    smtpUrl: variable('SMTP_URL') ?? null,
    from: variable('NEMO_MAIL_FROM') ?? 'Nemo Router <nemo@localhost>',
    mailboxFolder: join(options.dataFolder, 'mailbox'),
    log,
  })
  return startControl({ databaseUrl, masterKey, mail, settings: options.controlSettings, gateway, log })
}

/** Sees to it that there is something to call: what the environment has keys for, or else the sandbox. */
async function openCatalogue(
  options: StartOptions,
  operator: pg.Pool,
  teardown: Teardown,
  log: Log,
): Promise<MasterKeys> {
  const { credentials } = await loadCatalogue(operator)
  const { keys } = await masterKeyFor(operator, options.dataFolder)
  const taken = await takeProvidersOfEnvironment(operator, keys, credentials, log)
  for (const name of taken) log.info({}, `took the key of ${name} from the environment into the vault`)
  const hasReal = taken.length > 0 || credentials.some((credential) => credential.provider !== 'sandbox')
  if (options.sandbox && !hasReal) await useSandbox(operator, keys, options.sandboxPort, teardown)
  else await leaveSandbox(operator)
  return keys
}

async function listenOn(
  gateway: Gateway,
  control: RunningControl,
  { host, port }: StartOptions,
): Promise<GatewayServer> {
  try {
    const server = await listen(gateway, { host, port }, control.handle)
    control.listensAt(reachableUrl(host, server.port))
    return server
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'EADDRINUSE':
        throw new Failure(
          `Port ${port} on ${host} is in use. Stop what listens there, or choose another with --port or NEMO_PORT.`,
        )
      case 'EACCES':
        throw new Failure(`Port ${port} is not for an ordinary user. Choose one above 1023 with --port or NEMO_PORT.`)
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
        throw new Failure(`${host} is not an address of this machine. Choose one with --host or NEMO_HOST.`)
      default:
        throw error
    }
  }
}

async function drain(server: GatewayServer, { settings }: StartOptions, log: Log): Promise<void> {
  if (server.active > 0) log.info({ active: server.active }, 'stopping: waiting for the calls under way')
  const cut = await server.drain(settings.drainMs)
  if (cut > 0) log.warn({ cut }, 'cut calls that took longer than NEMO_DRAIN_MS')
}

/** An address to call from this machine: 0.0.0.0 means all of its addresses, and is none itself. */
function reachableUrl(host: string, port: number): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
