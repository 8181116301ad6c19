import { pino } from 'pino'

/** Where the running process says what an operator should know: standard error. */
export interface Log {
  info(context: object, message: string): void
  warn(context: object, message: string): void
  error(context: object, message: string): void
}

/** JSON lines for a collector, plain lines for a person at a terminal. Written at once: there is little of it, and a crash loses none. */
export function openLog(): Log {
  if (process.stderr.isTTY) return { info: line('info'), warn: line('warn'), error: line('error') }
  return pino(
    { level: 'info', timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: plainError } },
    pino.destination({ dest: 2, sync: true }),
  )
}

/** An error without what drivers hang on it: pg's has its whole connection. */
function plainError(err: unknown): object {
  if (!(err instanceof Error)) return { message: String(err) }
  const { name, message, stack, cause } = err
  const { code } = err as NodeJS.ErrnoException
  return { name, message, code, stack, ...(cause !== undefined && { cause: plainError(cause) }) }
}

function line(level: string): Log['info'] {
  return (context, message) => {
    const { err, ...rest } = context as { err?: unknown }
    const more = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    if (err !== undefined) more.push(err instanceof Error ? (err.stack ?? err.message) : String(err))
    const time = new Date().toLocaleTimeString('en-GB')
    process.stderr.write(`${time} ${level.padEnd(5)} ${[message, ...more].join('  ')}\n`)
  }
}
