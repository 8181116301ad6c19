import { Gateway } from '@nemo/gateway/gateway'
import { type GatewayServer, listen } from '@nemo/gateway/server'
import { DEFAULT_SETTINGS, type GatewaySettings } from '@nemo/gateway/settings'
import type { World } from './world.ts'

export interface RunningGateway {
  readonly gateway: Gateway
  readonly server: GatewayServer
  readonly url: string
  /** What was logged as a warning or worse. */
  readonly problems: { context: object; message: string }[]
  close(): Promise<void>
}

/** A gateway on the world's database and sandbox, listening on a port of its own. */
export async function runGateway(world: World, settings: Partial<GatewaySettings> = {}): Promise<RunningGateway> {
  const problems: RunningGateway['problems'] = []
  const note = (context: object, message: string) => problems.push({ context, message })
  const gateway = await Gateway.start({
    databaseUrl: world.database.url,
    masterKey: world.masterKey,
    settings: { ...DEFAULT_SETTINGS, ...settings },
    log: { warn: note, error: note },
  })
  const server = await listen(gateway, { host: '127.0.0.1', port: 0 })
  return {
    gateway,
    server,
    url: `${server.url}/v1`,
    problems,
    async close() {
      await server.drain(5_000)
      await gateway.close()
    },
  }
}
