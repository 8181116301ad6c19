// What admission and charging cost, and that the books stay exact meanwhile. See README.md.
import { spawn } from 'node:child_process'
import { bundle } from './bundle.mjs'

const GIVE_UP_MS = 30 * 60_000

const script = await bundle('start-admission')
const child = spawn(process.execPath, ['--expose-gc', script, ...process.argv.slice(2)], {
  stdio: 'inherit',
  timeout: GIVE_UP_MS,
})
child.once('exit', (code) => {
  process.exitCode = code ?? 1
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal))
