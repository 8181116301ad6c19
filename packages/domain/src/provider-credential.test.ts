import { expect, test } from 'vitest'
import { isCredentialName, readBaseUrl, readProviderSecret } from './provider-credential.ts'

test.each([
  ['https://api.example.com/v1/', 'https://api.example.com/v1'],
  ['http://127.0.0.1:11434/v1', 'http://127.0.0.1:11434/v1'],
  ['http://10.1.2.3', 'http://10.1.2.3'],
  ['http://[fd00::1]:8080/v1', 'http://[fd00::1]:8080/v1'],
  ['https://{resource}.example.com/v1', 'https://{resource}.example.com/v1'],
  ['ftp://example.com', null],
  ['https://user:word@example.com', null],
  ['https://example.com/?key=1', null],
  ['https://example.com/#x', null],
  ['http://169.254.169.254/latest', null],
  ['http://2852039166/latest', null],
  ['http://[fe80::1]/', null],
  ['http://[::ffff:169.254.169.254]/', null],
  ['example.com', null],
  ['', null],
])('the address %s is read as %s', (text, read) => {
  expect(readBaseUrl(text)).toBe(read)
})

test.each([
  ['sk-abc', 'sk-abc'],
  ['  sk-abc\n', 'sk-abc'],
  ['{"type": "service_account",\n "private_key": "x y"}', '{"type": "service_account",\n "private_key": "x y"}'],
  ['AKIA:secret:token', 'AKIA:secret:token'],
  ['two words', null],
  ['{"cut off', null],
  ['sk-\u00e4', null],
  ['line\r\nx-evil: 1', null],
  ['', null],
])('the secret %j is read as %j', (text, read) => {
  expect(readProviderSecret(text)).toBe(read)
})

test('a secret has an end', () => {
  expect(readProviderSecret('x'.repeat(16_384))).not.toBeNull()
  expect(readProviderSecret('x'.repeat(16_385))).toBeNull()
})

test('a name is of a few plain characters, and not the sandbox’s', () => {
  expect(['openai', 'openai-eu.2', '1'].filter((name) => !isCredentialName(name))).toEqual([])
  expect(['', 'OpenAI', 'a b', '-a', 'sandbox', 'a'.repeat(64)].filter(isCredentialName)).toEqual([])
})
