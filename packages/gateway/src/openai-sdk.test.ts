import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** The unmodified `openai` package against a real gateway, a real Postgres and a real HTTP provider. */
let world: World
let running: RunningGateway
let openai: OpenAI

beforeAll(async () => {
  world = await makeWorld()
  running = await runGateway(world)
  openai = new OpenAI({ apiKey: world.researcher.key, baseURL: running.url, maxRetries: 0 })
})

afterAll(async () => {
  await running?.close()
  await world?.close()
})

const question = [{ role: 'user' as const, content: 'What is the capital of France?' }]

/** The last log row of a request, once it is there. */
async function logOf(requestId: string | null | undefined) {
  const uuid = requestId!.replace(/^req_/, '')
  await running.gateway.ledger.flush()
  const { rows } = await world.database.operator.query('select * from request_logs where id = $1', [uuid])
  expect(rows).toHaveLength(1)
  return rows[0]
}

describe('chat completions', () => {
  test('an answer comes with its usage, and its cost is one number in header and log', async () => {
    const { data, response, request_id } = await openai.chat.completions.create({ model: 'sandbox-chat', messages: question }).withResponse()
    expect(data.choices[0]!.message.content).toBeTruthy()
    expect(data.usage!.total_tokens).toBe(data.usage!.prompt_tokens + data.usage!.completion_tokens)
    const nanos = Math.ceil((data.usage!.prompt_tokens * 150_000_000 + data.usage!.completion_tokens * 600_000_000) / 1e6)
    expect(response.headers.get('x-nemo-request-cost')).toBe((nanos / 1e9).toFixed(9).replace(/0+$/, ''))
    expect(response.headers.get('x-nemo-provider')).toBe('sandbox')
    expect(response.headers.get('x-nemo-attempts')).toBe('sandbox/sandbox-chat=200')
    const row = await logOf(request_id)
    expect(row).toMatchObject({ status: 200, key_alias: 'researcher', model: 'sandbox-chat', cost_nanos: BigInt(nanos), estimated: false, streamed: false })
    expect(row.price_version_id).toBeTruthy()
  })

  test('a stream gives the same text as the plain answer, and the usage only to who asked for it', async () => {
    const plain = await openai.chat.completions.create({ model: 'sandbox-chat', messages: question })
    let text = ''
    let usage: unknown = null
    const { data: stream, request_id } = await openai.chat.completions.create({ model: 'sandbox-chat', messages: question, stream: true }).withResponse()
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? ''
      usage = chunk.usage ?? usage
    }
    expect(text).toBe(plain.choices[0]!.message.content)
    expect(usage).toBeNull()
    const row = await logOf(request_id)
    expect(row).toMatchObject({ status: 200, streamed: true, estimated: false })
    expect(Number(row.output_tokens)).toBe(plain.usage!.completion_tokens)

    const asked = await openai.chat.completions.create({ model: 'sandbox-chat', messages: question, stream: true, stream_options: { include_usage: true } })
    for await (const chunk of asked) usage = chunk.usage ?? usage
    expect(usage).toMatchObject({ ...plain.usage, cost: Number(row.cost_nanos) / 1e9 })
  })
})
