import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../../..')

/** Who may import whom: the diagram of ARCHITECTURE.md. Tests may import what brings up a world besides. */
const ALLOWED: Record<string, readonly string[]> = {
  domain: [],
  codec: ['domain'],
  postgres: ['domain'],
  ledger: ['domain', 'postgres'],
  api: ['domain'],
  control: ['api', 'domain', 'ledger', 'postgres'],
  gateway: ['codec', 'domain', 'ledger', 'postgres'],
  sandbox: [],
  'embedded-postgres': [],
  testing: ['api', 'control', 'domain', 'embedded-postgres', 'gateway', 'ledger', 'postgres', 'sandbox'],
  nemo: ['api', 'codec', 'control', 'domain', 'embedded-postgres', 'gateway', 'ledger', 'postgres', 'sandbox'],
}

/** What pure packages may take from Node: computing, and no I/O. */
const PURE: Record<string, readonly string[]> = {
  domain: ['node:crypto', 'node:zlib'],
  codec: [],
}

interface Import {
  readonly file: string
  readonly owner: string
  readonly target: string
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' || entry.name === 'fixtures' ? [] : sourceFiles(path)
    return /\.ts$/.test(entry.name) ? [path] : []
  })
}

function importsOf(path: string): Import[] {
  const file = relative(ROOT, path)
  const owner = file.split(sep)[1]!
  return [
    ...readFileSync(path, 'utf8').matchAll(/(?:^|\n)\s*(?:import|export)\b[^'"]*?from '([^']+)'|import\('([^']+)'\)/g),
  ].map((match) => ({
    file,
    owner,
    target: (match[1] ?? match[2])!,
  }))
}

const imports = ['apps', 'packages'].flatMap((folder) => sourceFiles(join(ROOT, folder))).flatMap(importsOf)

test('packages import only what the diagram in ARCHITECTURE.md allows', () => {
  const offending = imports.filter(({ file, owner, target }) => {
    const imported = /^@nemo\/([^/]+)/.exec(target)?.[1]
    if (!imported || imported === owner) return false
    const tests = file.endsWith('.test.ts') || owner === 'testing'
    return (
      !ALLOWED[owner]?.includes(imported) && !(tests && ['testing', 'sandbox', 'embedded-postgres'].includes(imported))
    )
  })
  expect(offending.map(({ file, target }) => `${file} → ${target}`)).toEqual([])
  expect(imports.length).toBeGreaterThan(200)
})

test('no file reaches into another package by a relative path', () => {
  const offending = imports.filter(
    ({ file, target }) =>
      target.startsWith('.') && !join(file, '..', target).startsWith(file.split(sep).slice(0, 2).join(sep)),
  )
  expect(offending.map(({ file, target }) => `${file} → ${target}`)).toEqual([])
})

test('pure packages do no I/O', () => {
  const offending = imports.filter(({ file, owner, target }) => {
    const pure = PURE[owner]
    if (!pure || file.endsWith('.test.ts')) return false
    return !target.startsWith('.') && !target.startsWith('@nemo/') && target !== 'zod' && !pure.includes(target)
  })
  expect(offending.map(({ file, target }) => `${file} → ${target}`)).toEqual([])
})

test('there are no barrels, and no folders that could hold anything', () => {
  const vague = ['apps', 'packages']
    .flatMap((folder) => sourceFiles(join(ROOT, folder)))
    .map((path) => relative(ROOT, path))
    .filter((file) => /(^|\/)(index\.ts|utils?|helpers?|services?|common|misc)(\/|\.ts|$)/.test(file))
  expect(vague).toEqual([])
})
