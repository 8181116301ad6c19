import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { identifyProcess, isAlive, isPostmasterOf } from './process-identity.ts'

describe('a process identity', () => {
  it('stays the same while the process lives, and dies with it', async () => {
    const child = spawn('sleep', ['60'])
    await once(child, 'spawn')
    const identity = identifyProcess(child.pid as number)
    expect(identity).not.toBeNull()
    expect(identifyProcess(child.pid as number)).toEqual(identity)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isAlive(identity!)).toBe(false)
  })

  it('is not fooled by a pid that was used before', () => {
    expect(isAlive({ pid: process.pid, startedAt: 'earlier' })).toBe(false)
  })

  it.each([0, -1, Number.NaN, 2 ** 30])('does not exist for pid %s', (pid) => {
    expect(identifyProcess(pid)).toBeNull()
  })

  it('takes no other program for a postmaster', () => {
    expect(isPostmasterOf(process.pid, '/tmp')).toBe(false)
  })
})
