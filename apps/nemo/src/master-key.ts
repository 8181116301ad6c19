import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MASTER_KEY_BYTES } from '@nemo/domain/vault'
import { Failure } from './failure.ts'

export interface MasterKey {
  readonly key: Buffer
  /** With the one before it, which opens what hasn't been sealed anew. */
  readonly keys: readonly Buffer[]
  /** For messages: `NEMO_MASTER_KEY` or the file's path. */
  readonly origin: string
}

/** The key that secrets are sealed with: of the environment, else of the data folder. Null when there is none yet. Throws on a malformed one. */
export function readMasterKey(dataFolder: string): MasterKey | null {
  const given = process.env.NEMO_MASTER_KEY?.trim()
  if (given) return withPrevious(decode(given, 'NEMO_MASTER_KEY'), 'NEMO_MASTER_KEY', dataFolder)
  const path = masterKeyFile(dataFolder)
  const text = readIfThere(path)
  return text === null ? null : withPrevious(decode(text.trim(), path), path, dataFolder)
}

/** The key in a file. Throws when there is none. */
export function readMasterKeyFile(path: string): Buffer {
  const text = readIfThere(path)
  if (text === null) throw new Failure(`There is no file ${path}. Make a key with: openssl rand -hex 32`)
  return decode(text.trim(), path)
}

/** Puts a key into the place of the data folder's, which is kept beside it: backups from before need it. Done wholly or not at all. */
export function replaceMasterKey(dataFolder: string, key: Buffer): void {
  const path = masterKeyFile(dataFolder)
  const before = readIfThere(path)
  if (before !== null) writeWhole(previousMasterKeyFile(dataFolder), before)
  writeWhole(path, `${key.toString('hex')}\n`)
}

function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, text, { mode: 0o600, flag: 'wx', flush: true })
  renameSync(temporary, path)
}

function withPrevious(key: Buffer, origin: string, dataFolder: string): MasterKey {
  const given = process.env.NEMO_MASTER_KEY_PREVIOUS?.trim()
  const path = previousMasterKeyFile(dataFolder)
  const text = given || (origin === 'NEMO_MASTER_KEY' ? null : readIfThere(path)?.trim())
  const previous = text ? [decode(text, given ? 'NEMO_MASTER_KEY_PREVIOUS' : path)] : []
  return { key, keys: [key, ...previous], origin }
}

/** Makes the key of a new installation, readable by its owner only. Whoever else made one at this moment wins. */
export function createMasterKey(dataFolder: string): MasterKey {
  const path = masterKeyFile(dataFolder)
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, `${randomBytes(MASTER_KEY_BYTES).toString('hex')}\n`, {
    mode: 0o600,
    flag: 'wx',
    flush: true,
  })
  try {
    linkSync(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(temporary, { force: true })
  }
  return readMasterKey(dataFolder)!
}

export function masterKeyFile(dataFolder: string): string {
  return join(dataFolder, 'master.key')
}

export function previousMasterKeyFile(dataFolder: string): string {
  return `${masterKeyFile(dataFolder)}.previous`
}

function decode(text: string, origin: string): Buffer {
  const key = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64')
  if (key.length === MASTER_KEY_BYTES && (/^[0-9a-f]{64}$/i.test(text) || /^[A-Za-z0-9+/_-]{43}=?$/.test(text)))
    return key
  throw new Failure(
    `${origin} is not a master key: write ${MASTER_KEY_BYTES} bytes as 64 hexadecimal digits or in base64 (openssl rand -hex 32).`,
  )
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
