import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { CHAT_PRICE, makeWorld, type World } from '@nemo/testing/world'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

/** The Responses of the unmodified `openai` package: passed through to a provider that has them, and translated for one that hasn't. */
let world: World
let running: RunningGateway
let openai: OpenAI

beforeAll(async () => {
  world = await makeWorld()
  await deployProvider(world, { provider: 'anthropic', baseUrl: `${world.sandbox.origin}/anthropic` })
  await deployProvider(world, { provider: 'openai-compatible', baseUrl: world.sandbox.url })
  const search = 10_000_000n * 1_000_000n
  const price = { ...CHAT_PRICE, search }
  await deployProvider(world, { provider: 'openai', baseUrl: world.sandbox.url, group: 'searching', price })
  running = await runGateway(world)
  openai = new OpenAI({ apiKey: world.researcher.key, baseURL: running.url, maxRetries: 0 })
})

afterAll(async () => {
  await running?.close()
  await world?.close()
})

afterEach(async () => {
  world.sandbox.reset()
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  })
})

const weather: OpenAI.Responses.FunctionTool = {
  type: 'function',
  name: 'weather',
  description: 'The weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  strict: false,
}

/** The SDK joins the texts of a plain response only. */
const textOf = ({ output }: OpenAI.Responses.Response) =>
  output
    .flatMap((item) => (item.type === 'message' ? item.content : []))
    .map((part) => (part.type === 'output_text' ? part.text : ''))
    .join('')

describe.each([
  ['passed through', 'sandbox-chat'],
  ['as chat completions', 'openai-compatible-chat'],
  ['as Claude’s messages', 'anthropic-chat'],
])('%s', (_, model) => {
  const ask = { model, input: 'Say something about rivers.', max_output_tokens: 200 }

  test('a response is answered, and charged what the provider billed', async () => {
    const { data, response } = await openai.responses.create({ ...ask, instructions: 'Be brief.' }).withResponse()
    expect(data).toMatchObject({ object: 'response', status: 'completed' })
    expect(data.id).toMatch(/^resp_/)
    expect(data.output_text).toBeTruthy()
    const row = await running.logOf(response.headers.get('x-nemo-request-id'))
    expect([row.input_tokens, row.output_tokens]).toEqual([
      BigInt(data.usage!.input_tokens),
      BigInt(data.usage!.output_tokens),
    ])
    expect(Number(response.headers.get('x-nemo-request-cost'))).toBe(Number(row.cost_nanos) / 1e9)
  })

  test('a stream comes to the same, event by event', async () => {
    const plain = await openai.responses.create(ask)
    const stream = openai.responses.stream(ask)
    const numbers: number[] = []
    for await (const event of stream) numbers.push(event.sequence_number)
    const streamed = await stream.finalResponse()
    expect(numbers).toEqual(numbers.map((_, i) => i))
    expect(textOf(streamed)).toBe(plain.output_text)
    expect(streamed.usage).toMatchObject({ output_tokens: plain.usage!.output_tokens })
  })

  test('a function is called, streamed and not, and its output goes back under its id', async () => {
    const withTool = { ...ask, tools: [weather], tool_choice: 'required' as const }
    const plain = await openai.responses.create(withTool)
    const call = plain.output.find((item) => item.type === 'function_call')!
    expect(JSON.parse(call.arguments)).toEqual({ city: expect.any(String) })
    const streamed = await openai.responses.stream(withTool).finalResponse()
    expect(streamed.output.find((item) => item.type === 'function_call')?.arguments).toBe(call.arguments)
    const answered = await openai.responses.create({
      ...ask,
      tools: [weather],
      input: [
        { role: 'user', content: ask.input },
        call,
        { type: 'function_call_output', call_id: call.call_id, output: 'Rain.' },
      ],
    })
    expect(answered.output_text).toBeTruthy()
  })

  test('a cap makes it incomplete', async () => {
    const { status, incomplete_details } = await openai.responses.create({ ...ask, max_output_tokens: 16 })
    expect([status, incomplete_details]).toEqual(['incomplete', { reason: 'max_output_tokens' }])
  })

  test('a stream that its provider cuts ends as failed, and never as completed', async () => {
    const { body } = await httpCall(`${running.url}/responses`, {
      key: world.researcher.key,
      body: { ...ask, stream: true, sandbox: { no_done: true }, nemo_max_retries: 0 },
    })
    expect(body).toContain('event: response.failed')
    expect(body).not.toContain('event: response.completed')
  })
})

describe('after a search', () => {
  const tools: OpenAI.Responses.Tool[] = [{ type: 'web_search' }]
  const ask = { model: 'searching', max_output_tokens: 200, tools }
  const user = { role: 'user' as const, content: 'Rivers?' }
  const sent = () => world.sandbox.stats(1).recent[0]!.body!

  test('a conversation goes on, streamed or not, with what was done as it came', async () => {
    const plain = await openai.responses.create({ ...ask, input: [user] })
    const streamed = await openai.responses.stream({ ...ask, input: [user] }).finalResponse()
    for (const { output } of [plain, streamed]) {
      expect(output.map(({ type }) => type)).toEqual(['web_search_call', 'message'])
      const input = [user, ...output, user]
      const { data, response } = await openai.responses
        .create({ ...ask, input, tool_choice: tools[0] as OpenAI.Responses.ToolChoiceTypes })
        .withResponse()
      expect(data.output_text).toBeTruthy()
      expect(sent()).toMatchObject({ input: JSON.parse(JSON.stringify(input)), tool_choice: { type: 'web_search' } })
      const row = await running.logOf(response.headers.get('x-nemo-request-id'))
      expect([row.loss_nanos, row.usage]).toMatchObject([0n, { search: 1 }])
      const again = await openai.responses.stream({ ...ask, input }).finalResponse()
      expect(textOf(again)).toBeTruthy()
    }
  })

  const searched = { type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search', query: 'x' } }
  const said = { role: 'assistant', content: 'The Rhine.' }
  const goOn = (model: string, more: object = {}) =>
    httpCall(`${running.url}/responses`, {
      key: world.researcher.key,
      body: { model, input: [user, searched, said, user], ...more },
    })

  test.each(['anthropic-chat', 'openai-compatible-chat'])('%s is refused what was done, by its name', async (model) => {
    const { status, json } = await goOn(model)
    expect([status, json.error]).toMatchObject([400, { code: 'unsupported_parameter', param: 'input[1]' }])
    const chained = await goOn(model, { nemo_fallbacks: ['searching'] })
    expect([chained.status, chained.headers['x-nemo-provider']]).toEqual([200, 'openai'])
  })

  test('what isn’t known here is for OpenAI to judge', async () => {
    expect((await goOn('searching', { reasoning: { effort: 'max' } })).status).toBe(200)
    expect(sent()).toMatchObject({ reasoning: { effort: 'max' } })
    const tomorrows = await goOn('searching', { input: [user, { type: 'of_tomorrow' }] })
    expect([tomorrows.status, sent().input]).toEqual([400, [user, { type: 'of_tomorrow' }]])
  })
})

test('what refers to something that a provider keeps is refused by name, for it can’t be held for', async () => {
  for (const [more, param] of [
    [{ input: 'x', previous_response_id: 'resp_1' }, 'previous_response_id'],
    [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input[0]'],
  ] as const) {
    const before = world.sandbox.stats().requests
    const { status, json } = await httpCall(`${running.url}/responses`, {
      key: world.researcher.key,
      body: { model: 'searching', ...more },
    })
    expect([status, json.error.param, world.sandbox.stats().requests]).toEqual([400, param, before])
  }
})

test('what needs a memory is refused by name where nobody has one', async () => {
  const { status, json } = await httpCall(`${running.url}/responses`, {
    key: world.researcher.key,
    body: { model: 'anthropic-chat', input: 'x', previous_response_id: 'resp_1' },
  })
  expect([status, json.error.param]).toEqual([400, 'previous_response_id'])
})

describe('an organization that lets its responses be kept', () => {
  const keeping = async (slug: string) => {
    const organization = await world.organization(slug, '1')
    await world.database.operator.query('update organizations set keep_responses = true where id = $1', [
      organization.id,
    ])
    const { key } = await world.issueKey(organization, 'agent')
    return new OpenAI({ apiKey: key, baseURL: running.url, maxRetries: 0 })
  }
  const ask = { model: 'openai-compatible-chat', max_output_tokens: 100 }
  const sent = () => JSON.stringify(world.sandbox.stats(1).recent[0]!.body)

  test('goes on from one by its id, streamed or not, and from that one again', async () => {
    const client = await keeping('keeper')
    const first = await client.responses.create({ ...ask, input: 'My name is Ann.' })
    const stream = client.responses.stream({ ...ask, input: 'What is it?', previous_response_id: first.id })
    const second = await stream.finalResponse()
    expect(sent()).toContain('My name is Ann.')
    expect(sent()).toContain(first.output_text)
    await client.responses.create({ ...ask, input: 'Once more?', previous_response_id: second.id })
    for (const text of ['My name is Ann.', first.output_text, 'What is it?', textOf(second), 'Once more?']) {
      expect(sent()).toContain(text)
    }
  })

  test('goes on from one that was passed through, by the provider’s id, with any model', async () => {
    const client = await keeping('keeper-of-passed')
    const first = await client.responses.create({ ...ask, model: 'searching', input: 'My name is Ann.' })
    for (const model of ['searching', 'openai-compatible-chat']) {
      await client.responses.create({ ...ask, model, input: 'What is it?', previous_response_id: first.id })
      expect(sent()).toContain('My name is Ann.')
      expect(sent()).not.toContain(first.id)
    }
  })

  test('decides whether the provider may keep one too', async () => {
    const body = () => world.sandbox.stats(1).recent[0]!.body
    const passed = { ...ask, model: 'searching', input: 'x' }
    const client = await keeping('keeper-elsewhere')
    await client.responses.create({ ...passed, store: true })
    expect(body()).toMatchObject({ store: true })
    await client.responses.create(passed)
    expect(body()).toMatchObject({ store: false, include: ['reasoning.encrypted_content'] })
    await client.responses.create({ ...passed, store: false, include: [] })
    expect(body()).toMatchObject({ store: false, include: [] })
    const include: OpenAI.Responses.ResponseIncludable[] = ['message.output_text.logprobs']
    const { response } = await openai.responses.create({ ...passed, store: true, include }).withResponse()
    expect(body()).toMatchObject({ store: false, include: [...include, 'reasoning.encrypted_content'] })
    expect(response.headers.get('x-nemo-dropped-params')).toBe('store')
  })

  test('goes on from none of another’s, nor from one that it asked not to keep', async () => {
    const [mine, theirs] = [await keeping('keeper-a'), await keeping('keeper-b')]
    const { id } = await mine.responses.create({ ...ask, input: 'secret' })
    const forgotten = await mine.responses.create({ ...ask, input: 'x', store: false })
    const missing = { status: 400, code: 'previous_response_not_found', param: 'previous_response_id' }
    const goOn = (client: OpenAI, previous_response_id: string) =>
      client.responses.create({ ...ask, input: 'x', previous_response_id })
    await expect(goOn(theirs, id)).rejects.toMatchObject(missing)
    await expect(goOn(mine, forgotten.id)).rejects.toMatchObject(missing)
    await expect(goOn(mine, `resp_${'0'.repeat(32)}`)).rejects.toMatchObject(missing)
    await goOn(mine, id)
  })

  test('of any other nothing is kept', async () => {
    await openai.responses.create({ ...ask, input: 'x' })
    const { rows } = await world.database.owner.query(
      'select count(*)::int from kept_responses where organization_id = $1',
      [world.acme.id],
    )
    expect(rows[0].count).toBe(0)
  })
})
