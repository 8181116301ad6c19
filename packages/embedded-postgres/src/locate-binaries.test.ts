import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { locateBinaries, shippedPlatform } from './locate-binaries.ts'

describe('the binaries', () => {
  it('are found for this machine, with their version', () => {
    const { native, version } = locateBinaries()
    expect(existsSync(join(native, 'bin', 'postgres'))).toBe(true)
    expect(version).toMatch(/^18\./)
  })

  it.each([
    ['linux', 'x64', 'linux-x64'],
    ['linux', 'arm64', 'linux-arm64'],
  ])('are shipped for %s on %s with glibc', (platform, arch, name) => {
    expect(shippedPlatform({ platform, arch, hasGlibc: true })).toBe(name)
  })

  it('are shipped for macOS', () => {
    expect(shippedPlatform({ platform: 'darwin', arch: 'arm64', hasGlibc: false })).toBe('darwin-arm64')
  })

  it.each([
    { platform: 'linux', arch: 'x64', hasGlibc: false },
    { platform: 'linux', arch: 'riscv64', hasGlibc: true },
    { platform: 'win32', arch: 'x64', hasGlibc: false },
  ])('are refused for $platform on $arch, glibc $hasGlibc, with the platforms there are and the way out', (machine) => {
    expect(() => shippedPlatform(machine)).toThrow(/darwin-arm64, darwin-x64, linux-arm64, linux-x64.*DATABASE_URL/)
  })
})
