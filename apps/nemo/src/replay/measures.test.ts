import type { AttemptedCall } from '@nemo/postgres/replay-logs'
import { expect, test } from 'vitest'
import { isCallersOwn, Measures } from './measures.ts'

const MINUTE = 60_000
const SINCE = new Date('2027-01-31T00:00:00Z')
const at = (minute: number) => new Date(SINCE.getTime() + minute * MINUTE)

function call(minute: number, outcomes: string[], more: Partial<AttemptedCall> = {}): AttemptedCall {
  return {
    startedAt: at(minute),
    streamed: true,
    deploymentId: outcomes.at(-1) === '200' ? 'a' : null,
    outputTokens: 10,
    priceVersionId: null,
    attempts: outcomes.map((outcome, i) => ({
      ...{ deployment_id: 'a', provider: 'p', model: 'm', kind: i === 0 ? 'first' : 'retry', started_ms: 0 },
      ...{ outcome, took_ms: outcome === '200' ? 30 : 1_000 },
    })),
    ...more,
  }
}

function measured(...calls: AttemptedCall[]): Measures {
  const measures = new Measures(SINCE, at(24 * 60))
  for (const one of calls) measures.add(one)
  return measures
}

test('a latency is that of the attempt that answered, by kind of call', () => {
  const measures = measured(
    call(0, ['500', '200']),
    call(0, ['200'], { streamed: false, outputTokens: 10 }),
    call(0, ['200'], { streamed: false, outputTokens: 5 }),
    call(0, ['200'], { streamed: false, outputTokens: 0 }),
    call(0, ['timeout']),
  )
  expect(measures.pace('a', 'first-token')).toEqual({ ms: 30, calls: 1 })
  expect(measures.pace('a', 'output-token')).toEqual({ ms: 4, calls: 2 })
  expect(measures.pace('a', 'answer')).toEqual({ ms: 30, calls: 1 })
  expect(measures.pace('b', 'answer')).toBeNull()
})

test('a failure counts around its time, and five attempts of the whole span beside it', () => {
  const well = Array.from({ length: 90 }, () => call(600, ['200']))
  const ill = Array.from({ length: 10 }, () => call(2, ['503']))
  const measures = measured(...well, ...ill)
  const prior = 5 * 0.1
  expect(measures.failureRate('a', at(0))).toBeCloseTo((10 + prior) / 15)
  expect(measures.failureRate('a', at(9))).toBeCloseTo((10 + prior) / 15)
  expect(measures.failureRate('a', at(10))).toBeCloseTo(0.1)
  expect(measures.failureRate('a', at(600))).toBeCloseTo(prior / 95)
  expect(measures.attempts('a')).toBe(100)
})

test('who was never called fails as attempts do in all, and nothing fails where nothing was called', () => {
  expect(measured(call(0, ['500']), call(0, ['200'])).failureRate('b', at(0))).toBeCloseTo(0.5)
  expect(measured().failureRate('b', at(0))).toBe(0)
})

test('what the caller got wrong, or gave up, says nothing of a deployment', () => {
  expect(measured(call(0, ['400']), call(0, ['hung-up']), call(0, ['500', '200'])).attempts('a')).toBe(2)
  expect(['400', '413', '422', '500', '200', 'timeout', 'hung-up'].filter(isCallersOwn)).toEqual(['400', '413', '422'])
})

test('the longer the span, the longer the time in which attempts count together, so that memory has a bound', () => {
  expect(new Measures(SINCE, at(60)).bucketMs).toBe(5 * MINUTE)
  expect(new Measures(SINCE, at(90 * 24 * 60)).bucketMs).toBe((90 * 24 * 60 * MINUTE) / 1_000)
})
