import { fileURLToPath } from 'node:url'
import { BODIES } from './conversation.mjs'
import { canAccount, cpuMicros, familyCpuMicros, machineBusyMicros, runLoad } from './processes.mjs'

const LOAD = fileURLToPath(new URL('load.mjs', import.meta.url))
const SLACK_MS = 30_000

/** What is done to each target, one after the other. */
export const PHASES = [
  { name: 'closed-64', body: BODIES.plain, connections: 64, seconds: 4 },
  { name: 'closed-1', body: BODIES.plain, connections: 1, seconds: 3 },
  { name: 'rate-200', body: BODIES.plain, rate: 200, seconds: 6 },
  { name: 'stream-burst', body: BODIES.stream, connections: 32, seconds: 4 },
  { name: 'stream-paced', body: BODIES.stream, connections: 32, seconds: 5, chunkMs: 20 },
]

/** Runs one phase against one target and answers with the row of it. */
export async function measure(target, phase, seconds, upstream) {
  await pace(upstream, phase.chunkMs ?? 0)
  const { body, connections, rate } = phase
  const { url, headers } = target
  const before = snapshot(target, upstream)
  const load = await runLoad(
    [LOAD, JSON.stringify({ url, headers, body, seconds, connections, rate })],
    seconds * 1000 + SLACK_MS,
  )
  const after = snapshot(target, upstream)
  const took = (what) => after[what] - before[what]
  const ours =
    (target.pid === upstream.pid ? 0 : took('target')) +
    took('postgres') +
    took('upstream') +
    took('self') +
    load.loadCpuMicros
  const answers = load.answered || null
  return {
    phase: phase.name,
    target: target.name,
    ...load,
    ...(canAccount && {
      cpuMicros: answers && took('target') / answers,
      postgresCpuMicros: target.postgresPid && answers ? took('postgres') / answers : null,
      targetCorePercent: (100 * (took('target') + took('postgres'))) / took('wall'),
      loadCorePercent: (100 * (took('upstream') + took('self') + load.loadCpuMicros)) / took('wall'),
      foreignPercent: Math.max(0, (100 * (took('machine') - ours)) / took('wall')),
    }),
  }
}

async function pace(upstream, chunkMs) {
  await fetch(`${upstream.url}/pace`, { method: 'POST', body: JSON.stringify({ chunkMs }) })
}

function snapshot(target, upstream) {
  const { user, system } = process.cpuUsage()
  return {
    wall: performance.now() * 1000,
    target: cpuMicros(target.pid),
    postgres: target.postgresPid ? familyCpuMicros(target.postgresPid) : 0,
    upstream: cpuMicros(upstream.pid),
    machine: machineBusyMicros(),
    self: user + system,
  }
}
