import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/**
 * Providers that die and return all the time, while one link of the chain is alive at any time: no caller notices. Short in the suite; at length with NEMO_FLAP_SECONDS=60, which also prints what
 * it came to.
 */
const SECONDS = Number(process.env.NEMO_FLAP_SECONDS ?? 6)
const PER_SECOND = 200
/** More aren't begun before some have ended: on a machine that can't keep up, calls would last longer than providers live. */
const AT_ONCE_MAX = 200
const PERIOD_MS = 2_000
/** For so long both are there, the one that returns and the one that goes. */
const HANDOVER_MS = Number(process.env.NEMO_FLAP_HANDOVER_MS ?? 100)

/** Four places in three links: two of the group that is asked for, and one in each of the groups that it falls back to. */
const LINKS = ['flapping', 'flapping', 'further', 'furthest']
/** Who is alive, period by period. */
const ALIVE = [
  'furthest',
  'second',
  'further',
  'first',
  'first further',
  'second furthest',
  'further furthest',
  'first second',
]
const NAMES = ['first', 'second', 'further', 'furthest']

/** A provider at one port: it dies in one of two ways, and returns. */
class Mortal {
  readonly name: string
  #sandbox: Sandbox | null
  readonly #port: number

  constructor(name: string, sandbox: Sandbox) {
    this.name = name
    this.#sandbox = sandbox
    this.#port = sandbox.port
  }

  /** Nobody listens any more, or whoever connects is reset. */
  async die(silently: boolean): Promise<void> {
    if (silently) this.#sandbox?.configure({ reset: 'before' })
    else {
      await this.#sandbox?.close()
      this.#sandbox = null
    }
  }

  async live(): Promise<void> {
    this.#sandbox?.configure({ reset: null })
    // Meanwhile someone else may have been given the port, for a moment.
    while (!this.#sandbox) this.#sandbox = await startSandbox({ port: this.#port, config }).catch(() => sleep(10, null))
  }

  async close(): Promise<void> {
    await this.die(false)
  }
}

const config = { latency_ms: 5, tokens: 10 }
let world: World
let running: RunningGateway
let mortals: Mortal[]
const agent = new Agent({ keepAlive: true })

beforeAll(async () => {
  world = await makeWorld()
  mortals = []
  for (const [i, group] of LINKS.entries()) {
    const sandbox = await startSandbox({ config })
    mortals.push(new Mortal(NAMES[i]!, sandbox))
    await world.deploy(group, sandbox.url)
  }
  await world.database.operator.query(`update model_groups set chain = '{further,furthest}' where name = 'flapping'`)
  running = await runGateway(world)
})

afterAll(async () => {
  agent.destroy()
  await running?.close()
  await Promise.all((mortals ?? []).map((mortal) => mortal.close()))
  await world?.close()
})

test(`${PER_SECOND} calls a second for ${SECONDS} s, while providers die and return: none fails`, {
  timeout: SECONDS * 1_000 + 60_000,
}, async () => {
  const { key } = await world.issueKey(await world.organization('patient', '100'), 'patient')
  const begin = performance.now()
  const calls: Promise<Call>[] = []
  let isOn = true
  let [underWay, skipped] = [0, 0]
  const load = setInterval(() => {
    const due = Math.floor(((performance.now() - begin) / 1_000) * PER_SECOND)
    while (calls.length + skipped < due) {
      if (underWay >= AT_ONCE_MAX) {
        skipped++
        continue
      }
      underWay++
      calls.push(ask(key, calls.length % 3 === 0).finally(() => underWay--))
    }
  }, 5)
  const flapping = flap(() => isOn)
  await sleep(SECONDS * 1_000)
  isOn = false
  clearInterval(load)
  await flapping
  const answers = await Promise.all(calls)

  if (process.env.NEMO_FLAP_SECONDS) process.stdout.write(`${JSON.stringify({ ...figuresOf(answers), skipped })}\n`)
  expect(answers.filter((call) => !isWhole(call)).map(briefly)).toEqual([])
  expect(answers.length).toBeGreaterThan(SECONDS * PER_SECOND * (process.env.NEMO_FLAP_SECONDS ? 0.95 : 0.25))
  // It was no idle show: calls were turned away, and went elsewhere.
  expect(answers.filter(({ answer }) => retriesOf(answer) > 0).length).toBeGreaterThan(0)
  expect(answers.filter(({ answer }) => answer.headers['x-nemo-fallback-used'] === 'true').length).toBeGreaterThan(0)
  await vi.waitFor(() => expect(running.gateway.ledger.open).toBe(0))
  await running.gateway.ledger.flush()
  expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
})

/** Who is to live comes back before anyone else goes. */
async function flap(isOn: () => boolean): Promise<void> {
  for (let period = 0; isOn(); period++) {
    const alive = ALIVE[period % ALIVE.length]!.split(' ')
    await Promise.all(mortals.filter(({ name }) => alive.includes(name)).map((mortal) => mortal.live()))
    await sleep(HANDOVER_MS)
    const dying = mortals.filter(({ name }) => !alive.includes(name))
    await Promise.all(dying.map((mortal, i) => mortal.die((period + i) % 2 === 0)))
    for (let waited = HANDOVER_MS; waited < PERIOD_MS && isOn(); waited += 50) await sleep(50)
  }
}

interface Call {
  readonly answer: Answer
  readonly streamed: boolean
  readonly ms: number
}

async function ask(key: string, streamed: boolean): Promise<Call> {
  const begin = performance.now()
  const body = { model: 'flapping', messages: [{ role: 'user', content: 'hello' }], max_tokens: 20, stream: streamed }
  const answer = await httpCall(`${running.url}/chat/completions`, { key, agent, body })
  return { answer, streamed, ms: performance.now() - begin }
}

const isWhole = ({ answer, streamed }: Call) =>
  answer.status === 200 && (!streamed || answer.body.endsWith('data: [DONE]\n\n'))
const retriesOf = ({ headers }: Answer) => Number(headers['x-nemo-retries'] ?? 0)
const briefly = ({ answer, streamed, ms }: Call) => ({
  ...{ status: answer.status, attempts: answer.headers['x-nemo-attempts'], streamed, ms: Math.round(ms) },
  end: answer.body.slice(-200),
})

function figuresOf(calls: readonly Call[]): object {
  const ms = calls.map((call) => call.ms).sort((a, b) => a - b)
  const at = (part: number) => Math.round(ms[Math.min(Math.floor(ms.length * part), ms.length - 1)]!)
  return {
    ...{ seconds: SECONDS, calls: calls.length, errors: calls.filter((call) => !isWhole(call)).length },
    retried: calls.filter(({ answer }) => retriesOf(answer) > 0).length,
    fellBack: calls.filter(({ answer }) => answer.headers['x-nemo-fallback-used'] === 'true').length,
    ms: { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) },
  }
}
