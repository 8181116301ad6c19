import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ENCODED as COHERE } from '../../fixtures/cohere/encoded-bodies.ts'
import { ENCODED as GEMINI } from '../../fixtures/gemini/encoded-bodies.ts'

/** What the compiler holds against the types of the providers' SDKs is what the encoder writes. */
test.each([
  ['gemini', GEMINI],
  ['cohere', COHERE],
])('every golden of %s is among the bodies that its SDK’s types are checked with', (dialect, encoded) => {
  const folder = join(import.meta.dirname, '../../fixtures', dialect)
  const goldens = readdirSync(folder).filter((file) => file.endsWith('.request.json'))
  const bodies = goldens.map((file) => [
    file.replace('.request.json', ''),
    JSON.parse(readFileSync(join(folder, file), 'utf8')).body,
  ])
  expect(encoded).toEqual(Object.fromEntries(bodies))
})
