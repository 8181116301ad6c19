import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

test('the process prints its URL, takes settings, and stops cleanly on SIGTERM', async () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', main, '--port', '0', '--set', 'status=503'])
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const url = /^sandbox listening on (http:\S+\/v1)\n$/.exec(line.toString())![1]!
  expect((await fetch(`${url}/models`, { headers: { authorization: 'Bearer x' } })).status).toBe(503)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})
