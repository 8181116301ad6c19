import { readFileSync } from 'node:fs'
import { writePrivateFile } from './write-private-file.ts'

export type Connection = { port: number; password: string; database: string }

export const SUPERUSER = 'nemo'

export function readConnection(path: string): Connection | null {
  try {
    const { port, password, database } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Connection>
    if (typeof port !== 'number' || typeof password !== 'string' || typeof database !== 'string') return null
    return { port, password, database }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR' || error instanceof SyntaxError) return null
    throw error
  }
}

export function writeConnection(path: string, connection: Connection): void {
  writePrivateFile(path, `${JSON.stringify(connection, null, 2)}\n`)
}

export function connectionUrl({ port, password, database }: Connection): string {
  return `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`
}
