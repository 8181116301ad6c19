import { setTimeout as sleep } from 'node:timers/promises'
import { bringUp, type Cluster } from './bring-up.ts'
import { restartDelayMs } from './restart-policy.ts'
import { type ServerProcess, stopServer } from './server-process.ts'

export type Supervision = {
  current(): ServerProcess
  stop(): Promise<void>
}

type RestartPolicy = typeof restartDelayMs

/** Starts the server again, on the same port, whenever it ends without stop(). Calls onGiveUp once when that is hopeless. */
export function supervise(
  cluster: Cluster,
  first: ServerProcess,
  onGiveUp: (error: Error) => void,
  policy: RestartPolicy = restartDelayMs,
): Supervision {
  let server = first
  let restarting: Promise<void> = Promise.resolve()
  let stopped: Promise<void> | null = null
  const stopping = new AbortController()
  const failedAt: number[] = []

  const watch = () => {
    void server.exited.then((ending) => {
      if (!stopping.signal.aborted) restarting = restart(ending)
    })
  }
  const restart = async (ending: string) => {
    for (let reason = ending; ; ) {
      failedAt.push(Date.now())
      const delayMs = policy(failedAt, Date.now())
      if (delayMs === null) {
        onGiveUp(new Error(`PostgreSQL ${reason}; it failed too often within a minute. See ${cluster.folders.log}`))
        return
      }
      cluster.log(`PostgreSQL ${reason}; starting it again in ${delayMs} ms`)
      await sleep(delayMs, null, { ref: false, signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      try {
        server = await bringUp(cluster, { mayMove: false })
        cluster.log(`PostgreSQL runs again (process ${server.identity.pid})`)
        return watch()
      } catch (error) {
        reason = `could not start: ${(error as Error).message}`
      }
    }
  }
  const stop = async () => {
    stopping.abort()
    await restarting
    await stopServer(server.identity)
  }

  watch()
  return {
    current: () => server,
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}
