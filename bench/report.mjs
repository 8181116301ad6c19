import { CHUNKS } from './conversation.mjs'
import { median } from './statistics.mjs'

const BASELINE = 'bare-proxy'

/** The rows of a run as Markdown: medians over the repetitions, ratios taken within each repetition. */
export function report(rows, memory) {
  const names = [...new Set(rows.map((row) => row.target))]
  const values = (target, phase, read) =>
    rows.filter((row) => row.target === target && row.phase === phase).map((row) => read(row) ?? Number.NaN)
  const mid = (target, phase, read) => median(values(target, phase, read))
  const compared = (target, phase, read, compare) => {
    const baseline = values(BASELINE, phase, read)
    return median(values(target, phase, read).map((value, i) => compare(value, baseline[i])))
  }
  const times = (target, phase, read) => compared(target, phase, read, (value, baseline) => value / baseline)
  const beyondDirect = (target, phase, read) => {
    const direct = mid('direct', phase, read)
    const own = mid(target, phase, read)
    return target === 'direct' || own === null || direct === null ? null : own - direct
  }

  const plain = names.map((name) => [
    name,
    number(mid(name, 'closed-64', perSecond)),
    number(times(name, 'closed-64', perSecond), 2),
    number(mid(name, 'closed-1', perSecond)),
    number(mid(name, 'closed-64', cpu)),
    number(times(name, 'closed-64', cpu), 1),
    number(mid(name, 'closed-64', postgres)),
    number(times(name, 'closed-64', both), 1),
    number(mid(name, 'closed-1', cpu)),
    number(mid(name, 'closed-1', postgres)),
    number(times(name, 'closed-1', both), 1),
    milliseconds(beyondDirect(name, 'rate-200', (row) => row.added.p50)),
    milliseconds(beyondDirect(name, 'rate-200', (row) => row.added.p99)),
  ])
  const streams = names.map((name) => [
    name,
    number(mid(name, 'stream-burst', perSecond)),
    milliseconds(mid(name, 'stream-burst', cpu)),
    number(times(name, 'stream-burst', cpu), 2),
    milliseconds(mid(name, 'stream-burst', postgres)),
    name === BASELINE || name === 'direct'
      ? NONE
      : number(
          compared(name, 'stream-burst', cpu, (value, baseline) => (value - baseline) / CHUNKS),
          1,
        ),
    milliseconds(mid(name, 'stream-paced', cpu)),
    number(times(name, 'stream-paced', cpu), 2),
    milliseconds(beyondDirect(name, 'stream-paced', (row) => row.added.p50)),
    milliseconds(
      beyondDirect(name, 'stream-paced', (row) => row.chunkAge.p50),
      3,
    ),
  ])
  const sizes = names.map((name) => {
    const { idle, loaded, postgresIdle, postgresLoaded } = memory[name] ?? {}
    return [name, number(idle), number(loaded), number(postgresIdle), number(postgresLoaded)]
  })
  return [
    '**One answer**, 1 KB in, 0.6 KB out',
    table(PLAIN_HEAD, plain),
    `**Streams** of ${CHUNKS} chunks`,
    table(STREAM_HEAD, streams),
    '**Memory**, MB',
    table(MEMORY_HEAD, sizes),
  ].join('\n\n')
}

const PLAIN_HEAD = [
  ...['target', 'req/s c=64', '× bare', 'req/s c=1', 'CPU µs/req c=64', '× bare', 'Postgres µs/req', 'both × bare'],
  ...['CPU µs/req c=1', 'Postgres µs/req', 'both × bare', 'added p50 ms at 200/s', 'added p99 ms'],
]
const STREAM_HEAD = [
  ...['target', 'streams/s', 'CPU ms/stream', '× bare', 'Postgres ms/stream', 'CPU µs/chunk over bare'],
  ...['CPU ms/stream paced', '× bare', 'added first chunk p50 ms', 'added chunk p50 ms'],
]
const MEMORY_HEAD = ['target', 'idle', 'after the load', 'Postgres idle', 'Postgres after']

const NONE = '–'
const perSecond = (row) => row.perSecond
const cpu = (row) => row.cpuMicros
const postgres = (row) => row.postgresCpuMicros
const both = (row) => row.cpuMicros + (row.postgresCpuMicros ?? 0)

function number(value, places = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE
  return value.toLocaleString('en-US', { minimumFractionDigits: places, maximumFractionDigits: places })
}

function milliseconds(micros, places = 2) {
  return number(micros === null ? null : micros / 1000, places)
}

function table(head, body) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), `|---|${'--:|'.repeat(head.length - 1)}`, ...body.map(line)].join('\n')
}
