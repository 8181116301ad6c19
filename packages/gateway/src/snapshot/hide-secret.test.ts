import { expect, test } from 'vitest'
import { hideSecret } from './hide-secret.ts'

test.each([
  ['sk-1234567890', 'Incorrect API key provided: sk-1234567890.', 'Incorrect API key provided: [secret].'],
  ['AKIAEXAMPLE1:wJalrXUtnFEMI', 'AKIAEXAMPLE1 signed with wJalrXUtnFEMI', '[secret] signed with [secret]'],
  ['{"private_key":"-----BEGIN","project_id":"p"}', 'key -----BEGIN of p', 'key [secret] of p'],
  ['short', 'a short word', 'a short word'],
  ['', 'nothing to hide', 'nothing to hide'],
])('%s in "%s"', (secret, said, told) => {
  expect(hideSecret(secret)(said)).toBe(told)
})
