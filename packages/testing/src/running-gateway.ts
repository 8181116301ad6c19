import { uuidOfRequestId } from '@nemo/domain/ids'
import { namedProcess } from '@nemo/embedded-postgres/process-identity'
import { Gateway } from '@nemo/gateway/gateway'
import { type GatewayServer, listen } from '@nemo/gateway/server'
import { DEFAULT_SETTINGS, type GatewaySettings } from '@nemo/gateway/settings'
import type { RequestLog } from '@nemo/postgres/request-logs'
import { vi } from 'vitest'
import type { World } from './world.ts'

/** A row of request_logs, as it is read back. */
export interface LogRow extends RequestLog {
  readonly cost_nanos: bigint | null
  readonly loss_nanos: bigint
  readonly attempts: readonly {
    readonly deployment_id: string
    readonly outcome: string
    readonly detail: string | null
  }[]
}

export interface RunningGateway {
  readonly gateway: Gateway
  readonly server: GatewayServer
  readonly url: string
  /** What was logged as a warning or worse. */
  readonly problems: { context: object; message: string }[]
  /** The log row of a request by the id that its caller was told, once it is there. */
  logOf(requestId: string | null | undefined): Promise<LogRow>
  close(): Promise<void>
}

/** A gateway on the world's database and sandbox, listening on a port of its own. */
export async function runGateway(world: World, settings: Partial<GatewaySettings> = {}): Promise<RunningGateway> {
  const problems: RunningGateway['problems'] = []
  const note = (context: object, message: string) => problems.push({ context, message })
  const gateway = await Gateway.start({
    databaseUrl: world.database.url,
    masterKey: world.masterKey,
    journalFolder: world.journalFolder,
    journalOwner: namedProcess,
    settings: { ...DEFAULT_SETTINGS, ...settings },
    log: { warn: note, error: note },
  })
  const server = await listen(gateway, { host: '127.0.0.1', port: 0 })
  return {
    gateway,
    server,
    url: `${server.url}/v1`,
    problems,
    logOf(requestId) {
      const id = requestId && uuidOfRequestId(requestId)
      return vi.waitFor(async () => {
        const { rows } = await world.database.operator.query('select * from request_logs where id = $1', [id])
        if (rows.length !== 1) throw new Error(`${rows.length} log rows of ${requestId}`)
        return rows[0]
      }, 5_000)
    },
    async close() {
      await server.drain(5_000)
      await gateway.close()
    },
  }
}
