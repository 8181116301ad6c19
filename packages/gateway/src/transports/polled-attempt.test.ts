import type { ServerResponse } from 'node:http'
import { translateImages } from '@nemo/codec/images'
import { findProvider } from '@nemo/codec/providers'
import type { WireRequest, WireTarget } from '@nemo/codec/wire'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { type ScriptedProvider, startScriptedProvider } from '@nemo/testing/scripted-provider'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Fault } from '../routing/fault.ts'
import { UpstreamPools } from '../upstream-pools.ts'
import { PolledAttempt } from './polled-attempt.ts'

describe('through the gateway', () => {
  let world: World
  let running: RunningGateway

  beforeAll(async () => {
    world = await makeWorld()
    await deployProvider(world, {
      provider: 'black-forest-labs',
      baseUrl: `${world.sandbox.origin}/bfl/v1`,
      upstreamModel: 'flux-2-pro',
      endpoint: 'images',
      price: { image: 50_000_000_000_000n },
      group: 'flux',
    })
    running = await runGateway(world)
  }, 60_000)
  beforeEach(() => world.sandbox.reset())
  afterAll(async () => {
    await running?.close()
    await world?.close()
  })

  const ask = (more: object = {}, headers: Record<string, string> = {}) =>
    httpCall(`${running.url}/images/generations`, {
      key: world.researcher.key,
      headers,
      body: { model: 'flux', prompt: 'a river', ...more },
    })

  test('the picture is asked for until it is there, and costs what was said when it was accepted', async () => {
    const answer = await ask()
    expect([answer.status, answer.json.data]).toEqual([200, [{ url: expect.stringContaining('/sandbox/images/') }]])
    expect(world.sandbox.stats().recent.map(({ method, status }) => [method, status])).toEqual([
      ['POST', 200],
      ['GET', 200],
      ['GET', 200],
    ])
    const row = await running.logOf(String(answer.headers['x-nemo-request-id']))
    expect(row).toMatchObject({ status: 200, cost_nanos: 40_000_000n, attempts: [{ outcome: '200' }] })
  })

  test('one that was held back is the caller’s own to mend, and isn’t made again', async () => {
    const answer = await ask({ sandbox: { refusal: true } })
    expect([answer.status, answer.json.error]).toMatchObject([
      400,
      { code: 'content_policy_violation', message: 'Content Moderated' },
    ])
    expect(world.sandbox.stats().recent.filter(({ method }) => method === 'POST')).toHaveLength(1)
  })

  test('one that never comes is asked for until the deadline, and not beyond', async () => {
    const answer = await ask({ sandbox: { no_done: true }, nemo_timeout_ms: 1_000 })
    const row = await running.logOf(String(answer.headers['x-nemo-request-id']))
    expect([answer.status, row.cost_nanos]).toEqual([502, null])
    expect(row.attempts).toMatchObject([{ outcome: 'timeout' }])
  })
})

describe('by itself', () => {
  let provider: ScriptedProvider
  let elsewhere: ScriptedProvider
  let pools: UpstreamPools

  beforeAll(async () => {
    provider = await startScriptedProvider()
    elsewhere = await startScriptedProvider()
    pools = new UpstreamPools()
  })
  afterAll(async () => {
    await pools.close()
    await provider.close()
    await elsewhere.close()
  })

  /** The first answer, then these, the last one over and over. Counts what came. */
  function play(first: object, ...then: ((response: ServerResponse) => void)[]): { asked: number } {
    const seen = { asked: 0 }
    provider.script = (response, _, { method }) => {
      if (method === 'POST') return json(first)(response)
      then[Math.min(seen.asked++, then.length - 1)]!(response)
    }
    return seen
  }

  const json =
    (body: object, status = 200) =>
    (response: ServerResponse) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  const pending = json({ status: 'Pending', result: null })
  const ready = json({ status: 'Ready', result: { sample: 'https://delivery.eu2.bfl.ai/x.png' } })
  const lost = (response: ServerResponse) => void response.destroy()
  const accepted = () => ({ id: '1', polling_url: `${provider.url}/get_result?id=1` })

  function send(): PolledAttempt {
    const request = { fields: { prompt: 'x' } as Record<string, unknown>, createdAt: 1 } as WireRequest
    const target = { provider: findProvider('black-forest-labs')!, model: 'flux-2-pro' } as unknown as WireTarget
    const wire = translateImages(request, target)!
    const { origin, pathname } = new URL(provider.url)
    const timeouts = { firstByteTimeoutMs: 5_000, idleTimeoutMs: 5_000 }
    const headers = ['x-key', 'secret']
    return new PolledAttempt(pools, origin, { path: pathname + wire.path, headers, wire, streamed: false, ...timeouts })
  }

  test('an answer that fails to come twice is asked for once more', async () => {
    const seen = play(accepted(), json({ detail: 'busy' }, 503), lost, ready)
    expect(await send().result).toMatchObject({ kind: 'answer' })
    expect(seen.asked).toBe(3)
  })

  test.each<[string, (response: ServerResponse) => void, Partial<Fault>]>([
    ['its provider is gone', lost, { kind: 'reset' }],
    ['its provider is busy', json({ detail: 'busy' }, 503), { kind: 'status', status: 503 }],
  ])('it is given up after the third time that %s', async (_, failing, fault) => {
    const seen = play(accepted(), failing)
    expect(await send().result).toMatchObject({ kind: 'fault', fault })
    expect(seen.asked).toBe(3)
  })

  test.each<[string, (response: ServerResponse) => void, Partial<Fault>]>([
    ['is forgotten', json({ status: 'Task not found' }, 404), { kind: 'status', status: 404 }],
    ['failed', json({ status: 'Error' }), { kind: 'status', status: 502 }],
    ['is of no known form', json({ status: 'Ready' }), { kind: 'malformed' }],
    ['leads elsewhere', json({ polling_url: 'http://169.254.169.254/' }), { kind: 'malformed' }],
  ])('what %s isn’t asked for again', async (_, answer, fault) => {
    const seen = play(accepted(), answer)
    expect(await send().result).toMatchObject({ kind: 'fault', fault })
    expect(seen.asked).toBe(1)
  })

  test('a place that isn’t the provider’s own is never asked', async () => {
    const before = elsewhere.requests
    const seen = play({ id: '1', polling_url: `${elsewhere.url}/get_result?id=1` }, ready)
    expect(await send().result).toMatchObject({ kind: 'fault', fault: { kind: 'malformed' } })
    expect([seen.asked, elsewhere.requests]).toEqual([0, before])
  })

  test.each([
    ['between two times', pending],
    ['while it is being asked', () => {}],
  ])('when the client goes %s, asking stops', async (_, answer) => {
    const seen = play(accepted(), answer)
    const attempt = send()
    await vi.waitFor(() => expect(seen.asked).toBe(1), 5_000)
    const fault: Fault = { kind: 'reset', detail: 'the client hung up' }
    attempt.abort(fault)
    expect(await attempt.result).toEqual({ kind: 'fault', fault })
    await vi.waitFor(() => expect(provider.open).toBe(0), 5_000)
    expect(seen.asked).toBe(1)
  })
})
