import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

/** A port that takes no further connection: who tries waits until it gives up, as with a host behind a firewall that drops packets. */
export interface UnansweringPort {
  readonly url: string
  close(): Promise<void>
}

/** A thread that listens and then does nothing, so that its queue of connections fills up; filled it is here. */
const LISTENER = `
  const { parentPort } = require('node:worker_threads')
  const server = require('node:net').createServer()
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port)
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 20)
  })`
/** One more than listen(2) promises, and some that wait outside. */
const FILLERS = 6

export async function startUnansweringPort(): Promise<UnansweringPort> {
  const worker = new Worker(LISTENER, { eval: true })
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  const sockets: Socket[] = Array.from({ length: FILLERS }, () => connect(port, '127.0.0.1').on('error', () => {}))
  await new Promise((resolve) => setTimeout(resolve, 50))
  return {
    url: `http://127.0.0.1:${port}/v1`,
    async close() {
      for (const socket of sockets) socket.destroy()
      await worker.terminate()
    },
  }
}
