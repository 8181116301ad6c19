import { expect, test } from 'vitest'
import { requestIdOf, uuidOfRequestId, uuidv7 } from './ids.ts'

test('ids have the form of UUIDv7, are ordered by millisecond, and don’t repeat', () => {
  const ids = Array.from({ length: 5_000 }, (_, i) => uuidv7(1_700_000_000_000 + i))
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect([...ids].sort()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
})

test('a request id leads back to its UUID, and nothing else does', () => {
  const id = uuidv7()
  expect(uuidOfRequestId(requestIdOf(id))).toBe(id)
  for (const text of ['', 'req_', id, `req_${'g'.repeat(32)}`]) expect(uuidOfRequestId(text)).toBeNull()
})
