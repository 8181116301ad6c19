import pg from 'pg'
import { connectionConfig } from './connect.ts'

export interface Listener {
  /** False while the connection is down: what is in memory may then be out of date. */
  readonly connected: boolean
  close(): Promise<void>
}

const CHECK_MS = 5_000
const RECONNECT_MS = 250

/**
 * Hears what is notified on the channels. `onMessage` gets the channel and its message, and null as the message whenever something may have been missed:
 * when the connection comes up, the first time included, and when it is lost.
 */
export function listen(
  databaseUrl: string,
  channels: readonly string[],
  onMessage: (channel: string, message: string | null) => void,
): Listener {
  const mayHaveMissed = () => {
    for (const channel of channels) onMessage(channel, null)
  }
  let client: pg.Client | null = null
  let connected = false
  let closed = false
  let timer: NodeJS.Timeout | undefined

  async function open(): Promise<void> {
    const next = new pg.Client(connectionConfig(databaseUrl, 'nemo_app'))
    client = next
    let lost = false
    const lose = () => {
      if (lost) return
      lost = true
      next.end().catch(() => {})
      if (closed) return
      if (connected) {
        connected = false
        mayHaveMissed()
      }
      timer = setTimeout(open, RECONNECT_MS)
    }
    next.on('error', lose)
    next.on('end', lose)
    next.on('notification', ({ channel, payload }) => onMessage(channel, payload ?? null))
    try {
      await next.connect()
      await next.query(channels.map((channel) => `listen ${channel}`).join(';'))
      if (lost || closed) return
      connected = true
      mayHaveMissed()
      check(next, lose)
    } catch {
      lose()
    }
  }

  /** A connection that died without a word (a pulled cable, a frozen server) is found by asking. */
  function check(current: pg.Client, lose: () => void): void {
    timer = setTimeout(async () => {
      const deadline = setTimeout(lose, CHECK_MS)
      try {
        await current.query('select 1')
        if (client === current && connected && !closed) check(current, lose)
      } catch {
        lose()
      } finally {
        clearTimeout(deadline)
      }
    }, CHECK_MS)
    timer.unref()
  }

  void open()
  return {
    get connected() {
      return connected
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await client?.end().catch(() => {})
    },
  }
}
