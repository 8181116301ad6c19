import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A provider that does whatever the test says, for what no sandbox setting does: lies, floods, and answers of no known form. */
export interface ScriptedProvider {
  readonly url: string
  /** How many requests came. */
  readonly requests: number
  /** Requests whose connection is still open and whose answer isn't over. */
  readonly open: number
  /** What it answers to a request with this body. */
  script: (response: ServerResponse, body: string, request: IncomingMessage) => void
  close(): Promise<void>
}

export async function startScriptedProvider(): Promise<ScriptedProvider> {
  let requests = 0
  let open = 0
  const server = createServer((request, response) => {
    requests++
    open++
    response.on('error', () => {})
    response.on('close', () => open--)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => provider.script(response, Buffer.concat(chunks).toString(), request))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const provider: ScriptedProvider = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    get requests() {
      return requests
    },
    get open() {
      return open
    },
    script: (response) => response.writeHead(500).end(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return provider
}
