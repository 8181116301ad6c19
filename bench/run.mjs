// Nemo Router beside a bare proxy and the upstream itself, in one run. See README.md.
import { appendFileSync, mkdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { checkBooks } from './books.mjs'
import { BODIES } from './conversation.mjs'
import { measure, PHASES } from './phases.mjs'
import { canAccount, canPin, familyMegabytes, residentMegabytes } from './processes.mjs'
import { report } from './report.mjs'
import { startTargets } from './targets.mjs'

const HELP = `Usage: npm run bench -- [options]

  --quick           one repetition, short phases: about 40 seconds instead of 4 minutes
  --reps <n>        repetitions (3)
  --phases <names>  some of ${PHASES.map((phase) => phase.name).join(',')}
  --only-credits    the key has no limits beside the credit balance: one counter instead of five
  --help

Prints Markdown tables; every measurement is a line of JSON in bench/results/.
`
const GIVE_UP_MS = 15 * 60_000

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    reps: { type: 'string' },
    phases: { type: 'string' },
    'only-credits': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) process.stdout.write(HELP)
else await bench()

async function bench() {
  const reps = Number(options.reps ?? (options.quick ? 1 : 3))
  const phases = PHASES.filter(({ name }) => !options.phases || options.phases.split(',').includes(name))
  const write = resultsFile()
  write({ node: process.version, cpu: cpus()[0]?.model, cores: cpus().length, pinned: canPin, options })
  if (!canAccount) say('CPU and memory are counted on Linux only')
  if (!canPin) say('without taskset and two cores, targets and load disturb each other')

  const { upstream, databaseUrl, targets, stop } = await startTargets({ limited: !options['only-credits'] })
  stopOnSignals(stop)
  try {
    let nemoAnswered = 0
    const count = ({ name }, { answered }) => {
      if (name === 'nemo') nemoAnswered += answered
    }
    const memory = {}
    for (const target of targets) {
      count(target, await tryOut(target))
      memory[target.name] = { idle: residentMegabytes(target.pid), postgresIdle: postgresMegabytes(target) }
    }
    for (const target of targets) count(target, await warmUp(target, upstream))

    const rows = []
    for (let rep = 1; rep <= reps; rep++) {
      for (const phase of phases) {
        for (const target of rotate(targets, rep)) {
          const row = await measure(target, phase, options.quick ? 2 : phase.seconds, upstream)
          count(target, row)
          rows.push(row)
          write({ rep, ...row })
          say(summary(rep, row))
        }
      }
    }
    for (const target of targets) {
      memory[target.name].loaded = residentMegabytes(target.pid)
      memory[target.name].postgresLoaded = postgresMegabytes(target)
    }
    write({ memory })

    const books = await checkBooks(databaseUrl, nemoAnswered)
    write({ books })
    const errors = rows.reduce((sum, row) => sum + row.errors, 0)
    process.stdout.write(`${report(rows, memory)}\n\n${footer(reps, rows)}\n`)
    process.stdout.write(`errors: ${errors} · exact: ${books.exact ? `yes, ${nemoAnswered} charges` : 'NO'}\n`)
    if (!books.exact) say(JSON.stringify(books, null, 2))
    if (!books.exact || errors > 0) process.exitCode = 1
  } finally {
    await stop()
  }
}

function resultsFile() {
  const folder = new URL('./results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  const file = new URL(`${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.jsonl`, folder)
  return (value) => appendFileSync(file, `${JSON.stringify(value)}\n`)
}

/** Stops what was started when the run is interrupted, or takes far too long. */
function stopOnSignals(stop) {
  const end = () => stop().finally(() => process.exit(1))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end)
  setTimeout(end, GIVE_UP_MS).unref()
}

/** One call of each kind, looked at: what follows only counts. */
async function tryOut(target) {
  for (const [kind, body] of Object.entries(BODIES)) {
    const response = await fetch(target.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...target.headers },
      body,
    })
    const text = await response.text()
    const whole = text.includes('"total_tokens":264') && (kind === 'plain' || text.endsWith('data: [DONE]\n\n'))
    if (response.status !== 200 || !whole)
      throw new Error(`${target.name} answered ${response.status}: ${text.slice(0, 500)}`)
  }
  return { answered: Object.keys(BODIES).length }
}

async function warmUp(target, upstream) {
  const seconds = options.quick ? 1 : 8
  const plain = await measure(target, { name: 'warm-up', body: BODIES.plain, connections: 64 }, seconds, upstream)
  const stream = await measure(target, { name: 'warm-up', body: BODIES.stream, connections: 32 }, 1, upstream)
  return { answered: plain.answered + stream.answered }
}

/** Each repetition begins with another target, so that none always runs after the same one. */
function rotate(targets, rep) {
  const by = (rep - 1) % targets.length
  return [...targets.slice(by), ...targets.slice(0, by)]
}

function postgresMegabytes({ postgresPid }) {
  return postgresPid ? familyMegabytes(postgresPid) : null
}

function summary(rep, row) {
  const micros = (value) => (value == null ? '–' : value.toFixed(0))
  return (
    `${rep} ${row.phase} ${row.target}: ${row.perSecond.toFixed(0)}/s, p50 ${micros(row.latency.p50)} µs, ` +
    `CPU ${micros(row.cpuMicros)} + ${micros(row.postgresCpuMicros)} µs, errors ${row.errors}, ` +
    `cores ${micros(row.targetCorePercent)} ${micros(row.loadCorePercent)} %, others ${micros(row.foreignPercent)} %`
  )
}

function footer(reps, rows) {
  const others = rows.map((row) => row.foreignPercent).filter(Number.isFinite)
  const mean = others.reduce((sum, percent) => sum + percent, 0) / others.length
  return [
    `Node ${process.version}, ${process.platform} ${process.arch}, ${cpus().length} cores${canPin ? ', pinned' : ''}`,
    `medians of ${reps}`,
    ...(others.length > 0 ? [`other programs took ${Math.round(mean)} % of a core on average`] : []),
  ].join(' · ')
}

function say(line) {
  console.error(line)
}
