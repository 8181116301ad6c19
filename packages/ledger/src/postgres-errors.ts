import pg from 'pg'

/** SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation): trying again as it is can't help. */
export function isDataError(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? '')
}

/** Whether Postgres said itself that it did nothing: then nothing was given. A connection that broke leaves that open. */
export function isDefinite(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !/^(08|57P)/.test(error.code ?? '08')
}

/** The process has been declared dead (NM001), or sends from an epoch that has passed (NM002). */
export function isFenced(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^NM00[12]$/.test(error.code ?? '')
}
