import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DataFolderBusy, isLockedHere, lockDataFolder } from './lock-data-folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nemo-lock-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const deadHolder = { pid: process.pid, startedAt: 'a life before', token: 'a'.repeat(24) }

describe('the lock of a data folder', () => {
  it('names this process while held and leaves nothing when released', () => {
    const lock = lockDataFolder(folder)
    expect(JSON.parse(readFileSync(join(folder, 'nemo.pid'), 'utf8'))).toMatchObject({ pid: process.pid })
    expect(isLockedHere(folder)).toBe(true)
    lock.release()
    expect(isLockedHere(folder)).toBe(false)
    expect(readdirSync(folder)).toEqual([])
  })

  it('refuses a second holder, naming the first and what to do', () => {
    const lock = lockDataFolder(folder)
    expect(() => lockDataFolder(folder)).toThrow(DataFolderBusy)
    expect(() => lockDataFolder(folder)).toThrow(new RegExp(`process ${process.pid}.*${folder}.*NEMO_DATA_DIR`))
    lock.release()
    lockDataFolder(folder).release()
  })

  it('passes from a dead holder whose pid is alive again', () => {
    writeFileSync(join(folder, 'nemo.pid'), JSON.stringify(deadHolder))
    lockDataFolder(folder).release()
    expect(readdirSync(folder)).toEqual([])
  })

  it('passes on when the successor too died, halfway into his succession', () => {
    writeFileSync(join(folder, 'nemo.pid'), JSON.stringify(deadHolder))
    writeFileSync(
      join(folder, `nemo.pid.after-${deadHolder.token}`),
      JSON.stringify({ ...deadHolder, token: 'b'.repeat(24) }),
    )
    lockDataFolder(folder).release()
    expect(readdirSync(folder)).toEqual([])
  })

  it('passes on when its file is torn', () => {
    writeFileSync(join(folder, 'nemo.pid'), '{"pid":')
    lockDataFolder(folder).release()
    expect(readdirSync(folder)).toEqual([])
  })

  it("does not take the next holder's lock away when released twice", () => {
    const first = lockDataFolder(folder)
    first.release()
    const second = lockDataFolder(folder)
    first.release()
    expect(() => lockDataFolder(folder)).toThrow(DataFolderBusy)
    second.release()
  })

  it('has one winner among four processes that find a dead holder at once', async () => {
    writeFileSync(join(folder, 'nemo.pid'), JSON.stringify(deadHolder))
    const contenders = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'fixtures/lock.ts'), folder], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    )
    try {
      const outputs = contenders.map(({ stdout }) => createInterface(stdout)[Symbol.asyncIterator]())
      const nextLines = () => Promise.all(outputs.map(async (output) => (await output.next()).value))
      expect(await nextLines()).toEqual(Array(4).fill('ready'))
      for (const { stdin } of contenders) stdin.write('go\n')
      expect((await nextLines()).sort()).toEqual(['DataFolderBusy', 'DataFolderBusy', 'DataFolderBusy', 'won'])
      const exits = contenders.map((contender) => once(contender, 'exit'))
      for (const { stdin } of contenders) stdin.end()
      await Promise.all(exits)
      expect(readdirSync(folder)).toEqual([])
    } finally {
      for (const contender of contenders) contender.kill('SIGKILL')
    }
  }, 15_000)
})
