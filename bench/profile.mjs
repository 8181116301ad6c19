// Where the gateway's CPU goes: a profile of it under load, by area and by function.
//   node bench/profile.mjs [stream] [connections]
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { BODIES } from './conversation.mjs'
import { measure } from './phases.mjs'
import { startTargets } from './targets.mjs'

const RUN = new URL('./run/', import.meta.url)
const FOLDER = new URL('./profile/', RUN)
const INTERVAL_MICROS = 250
const SECONDS = 8
const TOP = 30

const [kind = 'plain', connections = '64'] = process.argv.slice(2)
rmSync(FOLDER, { recursive: true, force: true })
mkdirSync(FOLDER, { recursive: true })
const { upstream, targets, stop } = await startTargets({
  limited: true,
  extraArguments: [
    ...['--cpu-prof', `--cpu-prof-dir=${fileURLToPath(FOLDER)}`, '--cpu-prof-interval', String(INTERVAL_MICROS)],
  ],
})
const nemo = targets.find((target) => target.name === 'nemo')
const phase = { name: 'profile', body: BODIES[kind], connections: Number(connections) }
await measure(nemo, phase, 4, upstream)
const from = micros()
const row = await measure(nemo, phase, SECONDS, upstream)
const to = micros()
// The profile is written when the process ends.
await stop()

const profile = JSON.parse(readFileSync(new URL(readdirSync(FOLDER)[0], FOLDER), 'utf8'))
const { areas, functions, total } = sums(profile, moduleOfLine())
print(`${row.perSecond.toFixed(0)} a second, ${row.cpuMicros?.toFixed(0)} µs of CPU each with the profiler on`)
show('by area', areas, 20)
show('by function, without what it calls', functions, TOP)

/** Self time under load by area and function, in microseconds. */
function sums({ nodes, samples, timeDeltas, startTime }, moduleOf) {
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]))
  const areas = new Map()
  const functions = new Map()
  let total = 0
  let at = startTime
  samples.forEach((id, i) => {
    at += timeDeltas[i]
    const { functionName, url, lineNumber } = byId.get(id)
    if (at < from || at > to || functionName === '(idle)') return
    const module = url.endsWith('/start-gateway.mjs') ? moduleOf(lineNumber) : url
    total += timeDeltas[i]
    add(areas, areaOf(functionName, module), timeDeltas[i])
    add(functions, `${functionName || '(anonymous)'} ${module}`, timeDeltas[i])
  })
  return { areas, functions, total }
}

/** esbuild says in a comment, or in the name of a CommonJS wrapper, which file the lines below come from. */
function moduleOfLine() {
  const modules = []
  let module = ''
  for (const line of readFileSync(new URL('start-gateway.mjs', RUN), 'utf8').split('\n')) {
    module = /^(?:\/\/ |\s+")((?:\.\.\/)*(?:node_modules|packages|bench)\/\S+?)"?(?:\(.*)?$/.exec(line)?.[1] ?? module
    modules.push(module)
  }
  return (lineNumber) => modules[lineNumber]
}

function areaOf(functionName, module) {
  if (functionName === '(garbage collector)') return 'garbage collector'
  if (functionName === '(program)') return 'native outside JavaScript frames: libuv, epoll, reads'
  if (module.startsWith('wasm') || functionName.startsWith('wasm')) return "undici's parser (wasm)"
  const own = /packages\/([\w-]+)\/src/.exec(module)
  if (own) return `ours: ${own[1]}`
  const npm = /node_modules\/([\w-]+)\//.exec(module)
  if (npm) return /^(pg|postgres)/.test(npm[1]) ? 'pg' : npm[1]
  if (/_http_|internal\/http/.test(module)) return 'node:http'
  if (/node:(net|stream|events|internal\/stream)/.test(module)) return 'node:net, streams, events'
  if (/timers|task_queues|async_hooks|process/.test(module)) return 'timers, ticks, async hooks'
  if (module === '') return 'native functions called by JavaScript'
  return 'other parts of Node'
}

function add(map, key, micros) {
  map.set(key, (map.get(key) ?? 0) + micros)
}

function show(title, map, count) {
  print(`\n${title}`)
  const entries = [...map].sort((a, b) => b[1] - a[1]).slice(0, count)
  for (const [key, micros] of entries) print(`${((100 * micros) / total).toFixed(1).padStart(6)} %  ${key}`)
}

function print(line) {
  process.stdout.write(`${line}\n`)
}

function micros() {
  return Number(process.hrtime.bigint() / 1000n)
}
