// The experiments of admission.mjs, each on a PostgreSQL of its own with the settings it ships with. One of them starts this script again, as a
// gateway process that admits: see many-keys.ts.
import { appendFileSync, mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { hotPath } from './admission/hot-path.ts'
import { manyKeys, runGatewayOfManyKeys } from './admission/many-keys.ts'
import { memory } from './admission/memory.ts'
import { nearBound } from './admission/near-bound.ts'
import type { Experiment } from './admission/table.ts'
import { print } from './admission/table.ts'

const EXPERIMENTS: Record<string, Experiment> = {
  'hot-path': hotPath,
  'near-bound': nearBound,
  'many-keys': manyKeys,
  memory,
}

const HELP = `Usage: node bench/admission.mjs [options]

  --only <names>  some of ${Object.keys(EXPERIMENTS).join(',')}
  --quick         smaller numbers: about a minute in all
  --keys <n>      keys of many-keys (10000; quick 1000) and of memory (100000; quick 5000)
  --by-the-clock  many-keys over five minutes: each key once a minute in each process, rather than back to back
  --help

Prints Markdown tables, and appends a line of JSON for each to bench/results/. Ends with 1 when the books aren't exact.
`

const [first] = process.argv.slice(2)
if (first === 'gateway-of-many-keys') await runGatewayOfManyKeys(process.argv[3]!)
else await main()

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      keys: { type: 'string' },
      'by-the-clock': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  const names = values.only?.split(',') ?? Object.keys(EXPERIMENTS)
  // The bundle is in bench/run/.
  const results = new URL('../results/', import.meta.url)
  mkdirSync(results, { recursive: true })
  const file = new URL(`admission-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.jsonl`, results)
  for (const name of names) {
    const experiment = EXPERIMENTS[name]
    if (!experiment) throw new Error(`there is no experiment ${name}`)
    const keys = values.keys ? Number(values.keys) : null
    const outcome = await experiment({ quick: values.quick, keys, byTheClock: values['by-the-clock'] })
    appendFileSync(file, `${JSON.stringify({ experiment: name, node: process.version, ...outcome })}\n`)
    print(outcome)
    if (!outcome.exact) process.exitCode = 1
  }
}
