import { resolve } from 'node:path'
import { WrongUsage } from './failure.ts'

/** A variable of the environment; one that is set to nothing counts as not set. */
export function variable(name: string): string | undefined {
  return process.env[name]?.trim() || undefined
}

/** The option, else NEMO_DATA_DIR, else `.nemo` in the current folder. Absolute. */
export function dataFolderOf(option: string | undefined): string {
  return resolve(option ?? variable('NEMO_DATA_DIR') ?? '.nemo')
}

/** Throws when the text isn't a port. 0 takes a free one. */
export function parsePort(text: string, origin: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw new WrongUsage(`${origin} must be a port, from 1 to 65535, not "${text}".`)
}

/** The URL of the operator's own server, when there is one. Throws when it isn't a URL of PostgreSQL. */
export function databaseUrlOfEnvironment(): string | null {
  const url = variable('DATABASE_URL')
  if (url === undefined) return null
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return url
  throw new WrongUsage('DATABASE_URL must be like postgres://user:password@host:5432/database.')
}
