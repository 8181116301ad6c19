import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs'
import { giveToOwnerOfParent } from './cluster-folders.ts'

const SIZE_MAX = 10 * 1024 * 1024

/** Opens the log for appending. One of more than 10 MB becomes postgres.log.1, in place of the one before. */
export function openServerLog(path: string): { file: number; offset: number } {
  if (existsSync(path) && statSync(path).size > SIZE_MAX) renameSync(path, `${path}.1`)
  const file = openSync(path, 'a', 0o600)
  giveToOwnerOfParent(path)
  return { file, offset: fstatSync(file).size }
}

/** The last lines written since offset, for an error message. */
export function tailServerLog(path: string, offset: number): string {
  if (!existsSync(path)) return ''
  const size = statSync(path).size
  const start = Math.max(offset, size - 4096)
  const buffer = Buffer.alloc(Math.max(0, size - start))
  const file = openSync(path, 'r')
  try {
    readSync(file, buffer, 0, buffer.length, start)
  } finally {
    closeSync(file)
  }
  return buffer.toString('utf8').trim().split('\n').slice(-20).join('\n')
}
