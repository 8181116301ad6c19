// Starting processes on cores of their own, and what Linux says of their CPU time and memory.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { createInterface } from 'node:readline'

const RUN = new URL('./run/', import.meta.url)
const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 30_000
const TICK_MICROS = 10_000

/** Whether targets and load can be kept on cores of their own. */
export const canPin = availableParallelism() >= 2 && works(onCore('0,1', ['true']))
export const canAccount = process.platform === 'linux'

export const TARGET_CORE = 0
export const LOAD_CORE = 1

function onCore(core, command) {
  return ['taskset', '-c', String(core), ...command]
}

function works([file, ...args]) {
  return spawnSync(file, args, { stdio: 'ignore' }).status === 0
}

function pinned(core, command) {
  return canPin ? onCore(core, command) : command
}

/**
 * Starts a Node script that says in its first line of output, as JSON, where it is. It stops when its stdin ends: with `stop`, or with
 * whoever started it, however that ends.
 */
export async function startServer(name, core, args) {
  mkdirSync(RUN, { recursive: true })
  const log = openSync(new URL(`${name}.log`, RUN), 'w')
  const [file, ...rest] = pinned(core, [process.execPath, ...args])
  const child = spawn(file, rest, { stdio: ['pipe', 'pipe', log] })
  closeSync(log)
  const gone = new Promise((resolve) => child.once('exit', resolve))
  const announced = new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve))
  const late = deadline(START_TIMEOUT_MS)
  const line = await Promise.race([announced, gone.then(() => null), late])
  if (typeof line !== 'string') {
    child.kill('SIGKILL')
    throw new Error(`${name} did not start; bench/run/${name}.log says why`)
  }
  return {
    pid: child.pid,
    ...JSON.parse(line),
    async stop() {
      child.stdin.end()
      if ((await Promise.race([gone.then(() => true), deadline(STOP_TIMEOUT_MS)])) !== true) child.kill('SIGKILL')
    },
  }
}

/** For the scripts that `startServer` starts: says where they are, and ends them with their stdin. */
export function announce(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`)
  process.stdin.resume().once('end', () => process.exit(0))
}

/** Runs a script on the load's core to its end and answers with the JSON that it printed. */
export function runLoad(args, timeoutMs) {
  const [file, ...rest] = pinned(LOAD_CORE, [process.execPath, ...args])
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'inherit'], timeout: timeoutMs, killSignal: 'SIGKILL' })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`the load ended with ${signal ?? code}`)),
    )
  })
}

function deadline(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined).unref())
}

/** Microseconds of CPU that one process has used. */
export function cpuMicros(pid) {
  let nanos = 0
  for (const thread of list(`/proc/${pid}/task`))
    nanos += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0])
  return nanos / 1000
}

/** Microseconds of CPU that a process and all it started have used, those that have ended included. */
export function familyCpuMicros(pid) {
  let micros = 0
  for (const member of familyOf(pid)) micros += cpuMicros(member) + statOf(member).reapedMicros
  return micros
}

/** Megabytes that a process has resident. */
export function residentMegabytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024
}

/** Megabytes of a process and all it started, with what they share counted once. */
export function familyMegabytes(pid) {
  let kilobytes = 0
  for (const member of familyOf(pid))
    kilobytes += Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${member}/smaps_rollup`))?.[1] ?? 0)
  return kilobytes / 1024
}

/** Microseconds that all cores together have been busy since the machine started. */
export function machineBusyMicros() {
  return cpus().reduce((sum, { times }) => sum + (times.user + times.nice + times.sys + times.irq) * 1000, 0)
}

function familyOf(root) {
  const children = new Map()
  for (const name of list('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const { parent } = statOf(name)
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const family = [root]
  for (const member of family) family.push(...(children.get(member) ?? []))
  return family
}

function statOf(pid) {
  const stat = read(`/proc/${pid}/stat`)
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  return { parent: fields[1] ?? 0, reapedMicros: ((fields[13] ?? 0) + (fields[14] ?? 0)) * TICK_MICROS }
}

// Processes end while they are looked at.
function read(path) {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

function list(path) {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
