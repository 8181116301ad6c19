// The load generator. Prints one line of JSON. Its argument is JSON too:
//   { url, headers, body, seconds, connections }   closed loop: each connection sends its next request when it has its answer
//   { url, headers, body, seconds, rate }          open loop: sends so many a second at fixed instants, whatever the answers do
// Latencies are microseconds from the write to the last byte. `added` has the upstream's own stamped time taken off; of a stream it is
// that of the first chunk, and `chunkAge` is from the upstream's write of a chunk to its arrival here. The first tenth is not timed.
// What is under way at the end is waited for, so that every answer is counted on both sides.
import { HttpConnection, requestBytes } from './http-connection.mjs'
import { quantiles } from './statistics.mjs'

const DRAIN_MS = 15_000
const STAMP = /@(\d{9})@(\d{15})@/g

const { url, headers, body, seconds, connections, rate } = JSON.parse(process.argv[2])
const { hostname, port } = new URL(url)
const request = requestBytes(url, headers, body)
const streamed = body.includes('"stream":true')
const began = micros()
const timedFrom = began + seconds * 100_000
const end = began + seconds * 1_000_000

const latency = []
const added = []
const chunkAge = []
let answered = 0
let answeredInTime = 0
let errors = 0
let chunks = 0
let underWay = 0
const idle = []

if (rate) openLoop()
else for (let i = 0; i < connections; i++) closedLoop(new HttpConnection(hostname, port))
setTimeout(report, seconds * 1000 + DRAIN_MS)

function closedLoop(connection) {
  exchange(connection, () => {
    if (micros() < end) closedLoop(connection.dead ? new HttpConnection(hostname, port) : connection)
    else if (underWay === 0) report()
  })
}

function openLoop() {
  let sent = 0
  const dueAt = () => began + (sent * 1_000_000) / rate
  const tick = () => {
    while (dueAt() <= micros() && dueAt() < end) {
      sent++
      let connection = idle.pop()
      while (connection?.dead) connection = idle.pop()
      connection ??= new HttpConnection(hostname, port)
      exchange(connection, () => {
        idle.push(connection)
        if (underWay === 0 && dueAt() >= end) report()
      })
    }
    if (dueAt() < end) setTimeout(tick, Math.max(0, (dueAt() - micros()) / 1000))
  }
  tick()
}

function exchange(connection, then) {
  const sentAt = micros()
  // Reading the stamps would cost the closed loop as much as all the rest.
  const reads = streamed || rate
  let text = ''
  let seen = 0
  let ended = false
  underWay++
  connection.send(request, {
    onBody(bytes) {
      if (!reads) return
      text += bytes.latin1Slice()
      if (!streamed) return
      const now = micros()
      const whole = text.lastIndexOf('\n') + 1
      for (const [, spent, writtenAt] of text.slice(0, whole).matchAll(STAMP)) {
        if (sentAt >= timedFrom) {
          if (seen === 0) added.push(now - sentAt - Number(spent))
          chunkAge.push(now - Number(writtenAt))
        }
        seen++
      }
      if (text.includes('data: [DONE]')) ended = true
      text = text.slice(whole)
    },
    onDone(status) {
      const now = micros()
      underWay--
      chunks += seen
      if (status !== 200 || (streamed && !ended)) errors++
      else {
        answered++
        if (now <= end) answeredInTime++
        if (sentAt >= timedFrom) {
          latency.push(now - sentAt)
          if (rate && !streamed) for (const [, spent] of text.matchAll(STAMP)) added.push(now - sentAt - Number(spent))
        }
      }
      then()
    },
    onFail() {
      underWay--
      errors++
      then()
    },
  })
}

function report() {
  const result = {
    answered,
    errors: errors + underWay,
    perSecond: answeredInTime / seconds,
    chunks,
    latency: quantiles(latency),
    added: quantiles(added),
    chunkAge: quantiles(chunkAge),
    loadCpuMicros: process.cpuUsage().user + process.cpuUsage().system,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}

function micros() {
  return Number(process.hrtime.bigint() / 1000n)
}
