import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Control } from '@nemo/control/control'
import type { GatewayBeside } from '@nemo/control/gateway-beside'
import type { Letter } from '@nemo/control/mail/mail'
import { type ControlSettings, DEFAULT_SETTINGS } from '@nemo/control/settings'
import { startControl } from '@nemo/control/start'
import type { TestDatabase } from './fresh-database.ts'
import { type Answer, type CallOptions, httpCall } from './http-call.ts'

export interface RunningControl {
  readonly control: Control
  readonly url: string
  /** What was sent by mail, oldest first. */
  readonly letters: readonly Letter[]
  /** What was logged as an error. */
  readonly problems: { context: object; message: string }[]
  /** Calls a path of it; an object as the body is sent as JSON, and what a browser says of where it comes from comes along. */
  call(method: string, path: string, options?: CallOptions & { cookie?: string | undefined }): Promise<Answer>
  close(): Promise<void>
}

/** The control plane on a database, beside a gateway or alone, listening on a port of its own, with a mailbox instead of mail, and cheap passwords. */
export async function runControl(
  database: TestDatabase,
  {
    masterKey = randomBytes(32),
    gateway,
    ...settings
  }: Partial<ControlSettings> & { masterKey?: Buffer; gateway?: GatewayBeside } = {},
): Promise<RunningControl> {
  const letters: Letter[] = []
  const problems: RunningControl['problems'] = []
  const { control, handle, listensAt, close } = await startControl({
    databaseUrl: database.url,
    masterKey,
    mail: { send: (letter) => letters.push(letter), settled: async () => {}, close: async () => {} },
    ...(gateway && { gateway }),
    settings: { ...DEFAULT_SETTINGS, passwordCost: { n: 1024, r: 8, p: 1 }, ...settings },
    log: { info() {}, warn() {}, error: (context, message) => problems.push({ context, message }) },
  })
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  listensAt(url)
  return {
    control,
    url,
    letters,
    problems,
    call(method, path, { cookie, headers, ...options } = {}) {
      const isJson = typeof options.body === 'object' && !Buffer.isBuffer(options.body)
      return httpCall(url + path, {
        ...options,
        method,
        headers: {
          ...(isJson && { 'content-type': 'application/json' }),
          ...(cookie !== undefined && { cookie, 'sec-fetch-site': 'same-origin' }),
          ...headers,
        },
      })
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await close()
    },
  }
}
