import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import { expect, test } from 'vitest'
import { TenantSnapshot } from './tenants.ts'

const HASH = 'hash'
const key: VirtualKey = {
  id: 'k',
  organizationId: 'acme',
  teamId: 't',
  alias: 'researcher',
  allowedModels: null,
  allowedEndpoints: null,
  allowedNetworks: null,
  expiresAt: null,
  revokedAt: null,
  limits: [],
  hasConsumerLimits: false,
  uncapped: 'clamp' as const,
  dropsUnsupported: false,
  keepsResponses: false,
  strategy: 'simple-shuffle' as const,
  routing: {},
  defaultTags: [],
  topUp: null,
}

/** A snapshot with a clock and a database of its own. */
function world(found: VirtualKey | null = key) {
  const state = { now: 0, heard: true, loads: 0, down: false, found }
  const keys = new TenantSnapshot({
    load: async () => {
      state.loads++
      if (state.down) throw new Error('down')
      return state.found
    },
    heard: () => state.heard,
    now: () => state.now,
  })
  return { state, keys }
}

test('a key is looked up once, however many ask at once, and then known for ten minutes', async () => {
  const { state, keys } = world()
  await Promise.all([keys.find(HASH), keys.find(HASH)])
  state.now = 599_999
  expect(keys.find(HASH)).toBe(key)
  expect(state.loads).toBe(1)
  state.now = 600_000
  await keys.find(HASH)
  expect(state.loads).toBe(2)
})

test('while changes can’t be heard of a key is believed for a second only', async () => {
  const { state, keys } = world()
  await keys.find(HASH)
  state.heard = false
  state.now = 999
  expect(keys.find(HASH)).toBe(key)
  state.now = 1_000
  await keys.find(HASH)
  expect(state.loads).toBe(2)
})

test('a change makes the keys of its organization be looked up again, and no other', async () => {
  const { state, keys } = world()
  await keys.find(HASH)
  keys.forget('rival')
  expect(keys.find(HASH)).toBe(key)
  keys.forget('acme')
  await keys.find(HASH)
  keys.forget(null)
  await keys.find(HASH)
  expect(state.loads).toBe(3)
})

test('an answer that was on its way during a change isn’t kept', async () => {
  const { state, keys } = world()
  const asked = keys.find(HASH)
  keys.forget('acme')
  await asked
  await keys.find(HASH)
  expect(state.loads).toBe(2)
})

test('while the database is down a known key is believed, and an unknown one can’t be judged', async () => {
  const { state, keys } = world()
  await keys.find(HASH)
  state.down = true
  state.now = 600_000
  expect(await keys.find(HASH)).toBe(key)
  await expect(keys.find('other')).rejects.toThrow('down')
  state.now = 1_200_000
  await expect(keys.find(HASH)).rejects.toThrow('down')
})

test('an unknown key is unknown for a second', async () => {
  const { state, keys } = world(null)
  expect(await keys.find(HASH)).toBeNull()
  expect(await keys.find(HASH)).toBeNull()
  state.found = key
  state.now = 1_000
  expect(await keys.find(HASH)).toBe(key)
  expect(state.loads).toBe(2)
})
