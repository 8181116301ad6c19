import { topLevelMembers } from '@nemo/codec/json-members'
import { findProvider } from '@nemo/codec/providers'
import { chat } from '@nemo/codec/surfaces/chat/chat'
import type { WireRequest } from '@nemo/codec/wire'
import { wireOf } from '@nemo/codec/wires'
import { startSandbox } from '@nemo/sandbox/sandbox'

/** What translation costs in CPU beyond passing on: by stream chunk, and by call that isn't streamed. Nothing but the codec runs in it; the answers are the sandbox's. */
const TOKENS = 200
const CALLS = 2_000
const STREAMS = 400

const SPOKEN = [
  { provider: 'openai', path: '/v1', headers: { authorization: 'Bearer x' } },
  { provider: 'anthropic', path: '/anthropic', headers: { 'x-api-key': 'x' } },
  { provider: 'gemini', path: '/gemini/v1beta', headers: { 'x-goog-api-key': 'x' } },
  { provider: 'bedrock', path: '/bedrock', headers: { authorization: 'Bearer x' } },
  { provider: 'cohere', path: '/cohere/v2', headers: { authorization: 'Bearer x' } },
] as const

const tools = [
  {
    type: 'function',
    function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  },
]
const conversation = [
  { role: 'system', content: 'Be brief.' },
  ...Array.from({ length: 6 }, (_, i) => ({
    role: i % 2 ? 'assistant' : 'user',
    content: 'Words about rivers. '.repeat(20),
  })),
  { role: 'user', content: 'Go on.' },
]

function requestOf(streamed: boolean): WireRequest {
  const fields = { model: 'm', max_tokens: 1_000, messages: conversation, tools, tool_choice: 'none', stream: streamed }
  const body = Buffer.from(JSON.stringify({ ...fields, sandbox: { tokens: TOKENS } }))
  return {
    endpoint: 'chat',
    surface: chat,
    body,
    members: topLevelMembers(body),
    edits: new Map(),
    fields: JSON.parse(body.toString()),
    headers: {},
    chat: () => chat.readRequest(JSON.parse(body.toString())),
    streamed,
    choices: 1,
    inputTokens: 100,
    id: 'x'.repeat(24),
    createdAt: 0,
  }
}

function targetOf(name: string) {
  const provider = findProvider(name)!
  const unsupported = () => {}
  return {
    provider,
    model: 'sandbox-chat',
    hosting: provider.hosting,
    outputTokensMax: 4_096,
    cap: null,
    unsupported,
    leftOut: unsupported,
  } as const
}

function cpuMicros(act: () => void): number {
  for (let i = 0; i < 3; i++) act()
  const before = process.cpuUsage()
  act()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

const sandbox = await startSandbox()
const rows: { provider: string; call: number; chunk: number }[] = []
for (const { provider, path, headers } of SPOKEN) {
  const target = targetOf(provider)
  const fetched = async (streamed: boolean) => {
    const wire = wireOf(requestOf(streamed), target)
    const answer = await fetch(`${sandbox.origin}${path}${wire.path}`, {
      method: 'POST',
      headers: { ...headers, ...wire.headers, 'content-type': 'application/json' },
      body: wire.body,
    })
    if (answer.status !== 200) throw new Error(`${provider}: ${answer.status} ${await answer.text()}`)
    return Buffer.from(await answer.arrayBuffer())
  }
  const [plain, stream] = [await fetched(false), await fetched(true)]
  const request = requestOf(false)
  const call = cpuMicros(() => {
    for (let i = 0; i < CALLS; i++) wireOf(request, target).readAnswer(plain, JSON.parse(plain.toString()))
  })
  // As a network would bring it: an event or so at a time.
  const size = Math.ceil(stream.length / TOKENS)
  const pieces = Array.from({ length: TOKENS }, (_, i) => stream.subarray(i * size, (i + 1) * size))
  const wire = wireOf(requestOf(true), target)
  const chunk = cpuMicros(() => {
    for (let i = 0; i < STREAMS; i++) {
      const open = wire.openStream()
      for (const piece of pieces) open.push(piece)
      open.end()
      if (!open.done) throw new Error(`${provider}: the stream was not whole`)
    }
  })
  rows.push({ provider, call: call / CALLS, chunk: chunk / STREAMS / TOKENS })
}
await sandbox.close()

const [passed] = rows
process.stdout.write(
  '| to | CPU µs/call | over passing on | CPU µs/chunk | over passing on |\n| --- | --: | --: | --: | --: |\n',
)
for (const { provider, call, chunk } of rows) {
  const over = (own: number, of: number) => (provider === 'openai' ? '–' : (own - of).toFixed(1))
  process.stdout.write(
    `| ${provider} | ${call.toFixed(1)} | ${over(call, passed!.call)} | ${chunk.toFixed(2)} | ${over(chunk, passed!.chunk)} |\n`,
  )
}
