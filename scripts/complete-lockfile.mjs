#!/usr/bin/env node
// Adds to package-lock.json the optional packages of other platforms that the registry in use doesn't carry. `npm install` leaves those out,
// and `npm ci` then refuses the lock file as out of sync. Run it after `npm install` wherever that happens; it changes nothing elsewhere.
import { readFileSync, writeFileSync } from 'node:fs'

const OS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'wasm32',
  'win32',
  'windows',
]
const CPU = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
let added = 0
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${path}/node_modules/${name}`
    if (lock.packages[`node_modules/${name}`] || lock.packages[nested]) continue
    lock.packages[`node_modules/${name}`] = missing(name, range, entry.dev === true)
    added++
  }
}
const packages = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
lock.packages = Object.fromEntries(packages)
if (added > 0) writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${added} packages of other platforms added to package-lock.json`)

// Its platform is in its name: npm doesn't look at a package of another one.
function missing(name, range, dev) {
  const words = name.split(/[/-]/)
  const os = words.find((word) => OS.includes(word)) ?? 'none'
  const cpu = words.find((word) => CPU.some((known) => word.startsWith(known))) ?? 'none'
  return {
    version: range.replace(/^[\^~]/, ''),
    cpu: [CPU.find((known) => cpu.startsWith(known)) ?? 'none'],
    ...(dev && { dev: true }),
    license: 'SEE LICENSE IN PACKAGE',
    optional: true,
    os: [os === 'windows' ? 'win32' : os === 'wasm32' ? 'none' : os],
  }
}
