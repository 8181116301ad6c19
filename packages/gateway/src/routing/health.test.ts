import { beforeEach, describe, expect, test } from 'vitest'
import type { BreakerSettings } from './breaker.ts'
import type { Fault } from './fault.ts'
import { Health, type HealthChange, PLATFORM } from './health.ts'

const settings: BreakerSettings = { failuresMax: 2, failureWindowMs: 30_000, cooldownMs: 5_000 }
const broken: Fault = { kind: 'timeout', detail: 'silent' }
const unreachable: Fault = { kind: 'connect', detail: 'ECONNREFUSED' }
const status = (code: number, retryAfterMs: number | null = null): Fault => ({
  ...{ kind: 'status', status: code, detail: 'no', param: null, code: null, retryAfterMs },
})

let published: HealthChange[]
let claims: number
let grant: () => Promise<boolean>
let health: Health

beforeEach(() => {
  published = []
  claims = 0
  grant = async () => true
  health = new Health({
    publish: (change) => published.push(change),
    claimProbe: () => {
      claims++
      return grant()
    },
  })
})

const fail = (organization: string, now: number, fault: Fault = broken, times = 2) => {
  for (let i = 0; i < times; i++) health.failed(organization, 'd', fault, settings, now)
}
const cooling = (organization: string, now: number) => health.coolingOf(organization, 'd', now)
/** What was asked for is granted by then. */
const granted = () => new Promise((resolve) => setImmediate(resolve))

test('an organization’s failures leave a deployment out for it alone', () => {
  fail('acme', 1_000)
  expect(cooling('acme', 1_500)).toEqual({ by: 'organization', asked: false, ms: 4_500 })
  expect(cooling('rival', 1_500)).toBeNull()
  expect(health.coolingOf('acme', 'other', 1_500)).toBeNull()
  expect(published).toEqual([
    { organizationId: 'acme', deploymentId: 'd', coolingMs: 5_000, asked: false, fault: 'silent' },
  ])
})

test('what is the platform’s own fault leaves it out for all, by the platform’s settings', () => {
  health.failed('acme', 'd', unreachable, settings, 1_000)
  health.failed('rival', 'd', status(401), settings, 1_000)
  expect(cooling('acme', 1_000)).toBeNull()
  health.failed('acme', 'd', unreachable, settings, 1_000)
  for (const organization of ['acme', 'rival', 'third']) {
    expect(cooling(organization, 1_000)).toEqual({ by: 'platform', asked: false, ms: PLATFORM.cooldownMs })
  }
  expect(published).toMatchObject([{ organizationId: null }])
})

describe('what may be a tenant’s own doing', () => {
  test.each([402, 403, 404])('%i: leaves a deployment out for it alone, however often it happens', (code) => {
    for (let i = 0; i < 100; i++) fail('acme', 1_000 + i, status(code, 60_000))
    expect(cooling('acme', 2_000)).toMatchObject({ by: 'organization' })
    expect(cooling('rival', 2_000)).toBeNull()
    expect(published.filter(({ organizationId }) => organizationId === null)).toEqual([])
  })

  test('counts for all once it has happened to another as well', () => {
    fail('acme', 1_000, status(404))
    expect(cooling('third', 1_000)).toBeNull()
    fail('rival', 1_100, status(404), 1)
    expect(cooling('third', 1_100)).toEqual({ by: 'platform', asked: false, ms: PLATFORM.cooldownMs })
  })

  test('not where a call of anyone’s succeeded since, nor where the one was long ago', () => {
    fail('acme', 1_000, status(403))
    health.succeeded('third', 'd', settings, 1_050)
    fail('rival', 1_100, status(403), 5)
    expect(cooling('third', 1_100)).toBeNull()
    fail('rival', 60_000, status(403), 5)
    expect(cooling('third', 60_000)).toBeNull()
  })

  test('one that is half open for all it doesn’t keep so', async () => {
    health.heard({ organizationId: null, deploymentId: 'd', coolingMs: 1_000, asked: false }, 1_000)
    for (let now = 2_000; now < 60_000; now += 1_000) {
      cooling('acme', now)
      await granted()
      health.begin('acme', 'd')
      fail('acme', now, status(404), 1)
      expect(cooling('rival', now)).toBeNull()
    }
  })
})

test('a probe that said nothing is followed by another: of a caller whose request is wrong, or who hung up', async () => {
  health.heard({ organizationId: null, deploymentId: 'd', coolingMs: 1_000, asked: false }, 1_000)
  for (const inconclusive of [
    () => fail('acme', 2_000, status(400), 1),
    () => health.ended('acme', 'd', 2_000),
    () => fail('acme', 2_000, broken, 1),
  ]) {
    cooling('acme', 2_000)
    await granted()
    health.begin('acme', 'd')
    expect(cooling('rival', 2_000)).not.toBeNull()
    inconclusive()
    expect(cooling('rival', 2_000)).toBeNull()
  }
  expect(claims).toBe(1)
})

test('a caller’s own mistakes say nothing of a deployment', () => {
  for (const code of [400, 413, 415, 422]) fail('acme', 1_000, status(code), 5)
  expect(cooling('acme', 1_000)).toBeNull()
  expect(published).toEqual([])
})

test('a provider’s word is told as such, and for one organization: others may have limits of their own there', () => {
  fail('acme', 1_000, status(429, 20_000), 1)
  expect(cooling('acme', 1_000)).toEqual({ by: 'organization', asked: true, ms: 20_000 })
  expect(cooling('rival', 1_000)).toBeNull()
  // It goes over what is reckoned for all.
  fail('acme', 1_000, unreachable, 3)
  expect(cooling('acme', 1_000)).toMatchObject({ by: 'organization', asked: true })
  expect(cooling('rival', 1_000)).toMatchObject({ by: 'platform' })
})

describe('after the cooldown', () => {
  beforeEach(() => fail('acme', 1_000))

  test('one probe at a time goes there, once it was granted', async () => {
    expect(cooling('acme', 6_000)).toEqual({ by: 'organization', asked: false, ms: 0 })
    expect(cooling('acme', 6_001)).not.toBeNull()
    expect(claims).toBe(1)
    await granted()
    expect(cooling('acme', 6_002)).toBeNull()
    health.begin('acme', 'd')
    expect(cooling('acme', 6_003)).not.toBeNull()
  })

  test('a success closes it for everyone, and is told once', async () => {
    cooling('acme', 6_000)
    await granted()
    health.begin('acme', 'd')
    health.succeeded('acme', 'd', settings, 6_100)
    health.succeeded('acme', 'd', settings, 6_200)
    expect(cooling('acme', 6_200)).toBeNull()
    expect(published.slice(1)).toEqual([
      { organizationId: 'acme', deploymentId: 'd', coolingMs: 0, asked: false, fault: '' },
    ])
    // It is as well as any other: one failure doesn't trip it.
    fail('acme', 6_300, broken, 1)
    expect(cooling('acme', 6_300)).toBeNull()
  })

  test('a failed probe leaves it out anew', async () => {
    cooling('acme', 6_000)
    await granted()
    health.begin('acme', 'd')
    fail('acme', 6_100, broken, 1)
    expect(cooling('acme', 6_100)).toEqual({ by: 'organization', asked: false, ms: 5_000 })
  })

  test('who isn’t granted the probe asks again later, and not with every call', async () => {
    grant = async () => false
    for (let now = 6_000; now < 6_400; now += 10) cooling('acme', now)
    await granted()
    expect(cooling('acme', 6_499)).not.toBeNull()
    expect(claims).toBe(1)
    cooling('acme', 6_500)
    expect(claims).toBe(2)
  })

  test('where nobody can be asked it is probed all the same', async () => {
    grant = () => Promise.reject(new Error('no database'))
    cooling('acme', 6_000)
    await granted()
    expect(cooling('acme', 6_001)).toBeNull()
  })
})

test('what others say is believed: that it is left out, and that it is well', () => {
  health.heard({ organizationId: null, deploymentId: 'd', coolingMs: 3_000, asked: false }, 1_000)
  expect(cooling('rival', 1_000)).toEqual({ by: 'platform', asked: false, ms: 3_000 })
  health.heard({ organizationId: null, deploymentId: 'd', coolingMs: 0, asked: false }, 1_100)
  expect(cooling('rival', 1_100)).toBeNull()
  expect(published).toEqual([])
})

test('what is stored replaces what was believed, and counts of failures stay', () => {
  fail('acme', 1_000)
  health.failed('acme', 'counted', broken, settings, 1_000)
  health.restore([{ organizationId: 'rival', deploymentId: 'd', coolingMs: 2_000, asked: true }], 1_000)
  expect(cooling('acme', 1_000)).toBeNull()
  expect(cooling('rival', 1_000)).toEqual({ by: 'organization', asked: true, ms: 2_000 })
  health.failed('acme', 'counted', broken, settings, 1_000)
  expect(health.coolingOf('acme', 'counted', 1_000)).not.toBeNull()
})

test('a cooldown that was over when it was read is half open', async () => {
  health.restore([{ organizationId: 'acme', deploymentId: 'd', coolingMs: -60_000, asked: false }], 1_000)
  expect(cooling('acme', 1_000)).toEqual({ by: 'organization', asked: false, ms: 0 })
  await granted()
  expect(cooling('acme', 1_000)).toBeNull()
})

test('it takes no more memory than for twenty thousand: the oldest is forgotten', () => {
  for (let i = 0; i < 20_001; i++) {
    health.heard({ organizationId: 'acme', deploymentId: String(i), coolingMs: 60_000, asked: false }, 1_000)
  }
  expect(health.coolingOf('acme', '0', 1_000)).toBeNull()
  expect(health.coolingOf('acme', '1', 1_000)).not.toBeNull()
  expect(health.coolingOf('acme', '20000', 1_000)).not.toBeNull()
})
