// The baseline: the least that a proxy in Node can do and still know what was asked and what was used. It parses the request and
// checks two fields, forwards the bytes as they came, reads the usage out of the answer and relays that as it came. No keys, no money,
// no log, no retries. node:http in, undici's dispatch out.
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { announce } from './processes.mjs'

const pool = new Pool(process.argv[2], {
  connections: 256,
  pipelining: 1,
  headersTimeout: 0,
  bodyTimeout: 0,
  keepAliveTimeout: 60_000,
})
const totals = { requests: 0, prompt: 0, completion: 0 }

const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0, noDelay: true }, (request, response) => {
  let first = null
  let more = null
  request.on('data', (chunk) => {
    if (first === null) first = chunk
    else if (more === null) more = [first, chunk]
    else more.push(chunk)
  })
  request.on('end', () => {
    const body = more ? Buffer.concat(more) : (first ?? Buffer.alloc(0))
    let asked
    try {
      asked = JSON.parse(body.toString())
    } catch {
      refuse(response, 400, 'this is not JSON')
      return
    }
    if (typeof asked?.model !== 'string' || !Array.isArray(asked.messages)) {
      refuse(response, 400, 'model and messages are required')
      return
    }
    const headers = [
      ...['content-type', 'application/json', 'authorization', 'Bearer sk-upstream'],
      ...['content-length', String(body.length)],
    ]
    pool.dispatch({ method: 'POST', path: request.url, headers, body }, new Relay(response))
  })
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  announce({ url: `http://127.0.0.1:${server.address().port}` }),
)

class Relay {
  constructor(response) {
    this.response = response
    this.status = 0
    this.contentType = 'application/json'
    this.live = false
    this.parts = []
    this.tail = []
    this.tailBytes = 0
    this.controller = null
    response.on('close', () => {
      if (!response.writableFinished) this.controller?.abort(new Error('the client hung up'))
    })
  }

  onRequestStart(controller) {
    this.controller = controller
    if (this.response.destroyed) controller.abort(new Error('the client hung up'))
  }

  onResponseStart(_, status, headers) {
    this.status = status
    this.contentType = headers['content-type'] ?? this.contentType
    this.live = this.contentType.startsWith('text/event-stream')
    if (this.live) this.response.writeHead(status, ['content-type', this.contentType, 'cache-control', 'no-cache'])
  }

  onResponseData(controller, chunk) {
    if (!this.live) {
      this.parts.push(chunk)
      return
    }
    // The usage is in the last event but one: the last 2 KB are enough to find it.
    this.tail.push(chunk)
    this.tailBytes += chunk.length
    while (this.tail.length > 1 && this.tailBytes - this.tail[0].length >= 2048)
      this.tailBytes -= this.tail.shift().length
    if (!this.response.write(chunk)) {
      controller.pause()
      this.response.once('drain', () => controller.resume())
    }
  }

  onResponseEnd() {
    if (this.live) {
      account(usageOfTail(Buffer.concat(this.tail).toString('latin1')))
      this.response.end()
      return
    }
    const bytes = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts)
    account(JSON.parse(bytes.toString()).usage)
    const headers = ['content-type', this.contentType, 'content-length', String(bytes.length)]
    this.response.writeHead(this.status, headers)
    this.response.end(bytes)
  }

  onResponseError(_, error) {
    if (this.response.headersSent) this.response.destroy()
    else refuse(this.response, 502, error.message)
  }
}

function usageOfTail(text) {
  const at = text.lastIndexOf('"usage":{')
  if (at < 0) return null
  return JSON.parse(text.slice(text.lastIndexOf('data:', at) + 5, text.indexOf('\n', at))).usage
}

function account(usage) {
  totals.requests++
  totals.prompt += usage?.prompt_tokens ?? 0
  totals.completion += usage?.completion_tokens ?? 0
}

function refuse(response, status, message) {
  const body = JSON.stringify({ error: { message } })
  response.writeHead(status, ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))])
  response.end(body)
}
