import { createHash } from 'node:crypto'
import { createServer } from 'node:net'

const FIRST_PORT = 20_000
const PORTS = 12_000

/** A free port in 20000–31999, below those that systems hand out to outgoing connections; the same one for a folder if it can be. */
export async function chooseFreePort(folder: string): Promise<number> {
  const start = createHash('sha256').update(folder).digest().readUInt32BE(0) % PORTS
  for (let step = 0; step < 1000; step++) {
    const port = FIRST_PORT + ((start + step) % PORTS)
    if (await isPortFree(port)) return port
  }
  throw new Error(`No free port for PostgreSQL among 1000 from ${FIRST_PORT + start}`)
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
