// A provider that costs as little as it can: fixed answers from plain node:http, with usage, streamed or not.
//   POST …/chat/completions   0.6 KB of JSON, or CHUNKS events of some 225 bytes, a usage event and [DONE]
//   POST /pace {"chunkMs":20} the pause between two events from now on
// Every answer carries stamps, "@<µs spent here>@<µs of the monotonic clock>@", so that whoever measures on the same machine can take
// the upstream's own time off exactly.
import { createServer } from 'node:http'
import { CHUNKS, UPSTREAM_MODEL, USAGE } from './conversation.mjs'
import { announce } from './processes.mjs'

const STAMP_BYTES = 27
const TEXT = 'The quick brown fox jumps over the lazy dog while the gateway relays every byte. '.repeat(2)
const USAGE_JSON = `"usage":${JSON.stringify({
  ...USAGE,
  prompt_tokens_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
})}`

const [answerHead, answerTail] = [
  `{"id":"chatcmpl-bench000000000000000001","object":"chat.completion","created":1750000000,"model":"${UPSTREAM_MODEL}","choices":[{"index":0,"message":{"role":"assistant","content":"`,
  ` ${TEXT}"},"logprobs":null,"finish_reason":"stop"}],${USAGE_JSON},"system_fingerprint":"fp_bench"}`,
]
const answerHeaders = [
  ...['content-type', 'application/json'],
  ...['content-length', String(answerHead.length + STAMP_BYTES + answerTail.length)],
  ...['x-request-id', 'req_bench_1'],
]
const streamHeaders = [
  ...['content-type', 'text/event-stream; charset=utf-8'],
  ...['cache-control', 'no-cache', 'x-request-id', 'req_bench_1'],
]
const [firstHead, firstTail] = event(
  '[{"index":0,"delta":{"role":"assistant","content":"\0"},"finish_reason":null}]',
).split('\0')
const [nextHead, nextTail] = event('[{"index":0,"delta":{"content":"\0 tok"},"finish_reason":null}]').split('\0')
const streamEnd = `${event('[{"index":0,"delta":{},"finish_reason":"stop"}]')}${event('[]', `,${USAGE_JSON}`)}data: [DONE]\n\n`

let chunkMs = 0

const server = createServer({ keepAliveTimeout: 120_000, noDelay: true }, (request, response) => {
  const began = micros()
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => {
    const body = parts.length === 1 ? parts[0] : Buffer.concat(parts)
    if (request.url === '/pace') {
      chunkMs = JSON.parse(body).chunkMs
      response.end('{}')
    } else if (body.includes('"stream":true')) stream(response, began)
    else {
      response.writeHead(200, answerHeaders)
      response.end(answerHead + stamp(began) + answerTail, 'latin1')
    }
  })
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  announce({ url: `http://127.0.0.1:${server.address().port}` }),
)

function stream(response, began) {
  response.writeHead(200, streamHeaders)
  let sent = 0
  const next = () => {
    if (response.destroyed) return
    if (sent === CHUNKS) {
      response.end(streamEnd, 'latin1')
      return
    }
    const [head, tail] = sent === 0 ? [firstHead, firstTail] : [nextHead, nextTail]
    response.write(head + stamp(began) + tail, 'latin1')
    sent++
    if (chunkMs > 0) setTimeout(next, chunkMs)
    else setImmediate(next)
  }
  next()
}

function event(choices, rest = '') {
  return `data: {"id":"chatcmpl-bench000000000000000001","object":"chat.completion.chunk","created":1750000000,"model":"${UPSTREAM_MODEL}","choices":${choices}${rest}}\n\n`
}

function stamp(began) {
  const now = micros()
  return `@${String(now - began).padStart(9, '0')}@${String(now).padStart(15, '0')}@`
}

function micros() {
  return Number(process.hrtime.bigint() / 1000n)
}
