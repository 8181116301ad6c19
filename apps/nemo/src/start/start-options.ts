import { type ControlSettings, readControlSettings } from '@nemo/control/settings'
import { type GatewaySettings, readSettings } from '@nemo/gateway/settings'
import { databaseUrlOfEnvironment, dataFolderOf, parsePort, variable } from '../environment.ts'
import { WrongUsage } from '../failure.ts'

export interface StartFlags {
  port?: string
  host?: string
  data?: string
  sandbox: boolean
  demo?: boolean
  json?: boolean
}

/** What a start does, from options before environment before defaults. */
export interface StartOptions {
  readonly host: string
  readonly port: number
  readonly dataFolder: string
  readonly databaseUrl: string | null
  readonly sandbox: boolean
  readonly sandboxPort: number
  /** Whether an empty database gets a demo organization. */
  readonly demo: boolean
  readonly json: boolean
  readonly settings: GatewaySettings
  readonly controlSettings: ControlSettings
}

export function readStartOptions(flags: StartFlags): StartOptions {
  const databaseUrl = databaseUrlOfEnvironment()
  return {
    host: flags.host ?? variable('NEMO_HOST') ?? '127.0.0.1',
    port: portOf(flags),
    dataFolder: dataFolderOf(flags.data),
    databaseUrl,
    sandbox: flags.sandbox,
    sandboxPort: parsePort(variable('NEMO_SANDBOX_PORT') ?? '0', 'NEMO_SANDBOX_PORT'),
    // A server of the operator's own is not for playing, unless he says so.
    demo: flags.demo ?? (databaseUrl === null || variable('NEMO_DEMO') === '1'),
    json: flags.json ?? false,
    settings: orWrongUsage(() => readSettings(process.env)),
    controlSettings: orWrongUsage(() => readControlSettings(process.env)),
  }
}

function portOf(flags: StartFlags): number {
  if (flags.port !== undefined) return parsePort(flags.port, '--port')
  const ours = variable('NEMO_PORT')
  return ours === undefined ? parsePort(variable('PORT') ?? '4000', 'PORT') : parsePort(ours, 'NEMO_PORT')
}

function orWrongUsage<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new WrongUsage(`${(error as Error).message}.`)
  }
}
