import pg from 'pg'

/** int8 arrives as bigint: money does not fit a double. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8
      ? BigInt
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
}

export type Role = 'nemo_app' | 'nemo_operator' | 'nemo_identity'

export interface PoolOptions {
  readonly max: number
  /** Milliseconds that a statement may run before the server cancels it. */
  readonly statementTimeoutMs?: number
  readonly onError?: (error: Error) => void
}

/**
 * A pool of connections that act as the role from their first moment: `reset role` leads back to it, not to the owner.
 * An idle connection that breaks is replaced; it is told to `onError` and never thrown.
 */
export function connect(databaseUrl: string, role: Role, options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    ...connectionConfig(databaseUrl, role, options.statementTimeoutMs),
    max: options.max,
    idleTimeoutMillis: 60_000,
  })
  pool.on('error', (error) => {
    // `end` doesn't wait for its goodbyes to arrive, and a server that stops just then is no trouble.
    if (!pool.ending) options.onError?.(error)
  })
  // The pool listens to idle connections only: one that breaks between two queries of a transaction would end the process. Its next query says it.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

export function connectionConfig(databaseUrl: string, role: Role, statementTimeoutMs = 10_000): pg.ClientConfig {
  return {
    connectionString: databaseUrl,
    application_name: role,
    options: `-c role=${role} -c search_path=nemo -c timezone=UTC -c statement_timeout=${statementTimeoutMs}`,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    types,
  }
}
