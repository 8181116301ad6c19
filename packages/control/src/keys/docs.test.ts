import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { newVirtualKey } from '@nemo/domain/virtual-key'
import { expect, test } from 'vitest'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/virtual-keys.md'), 'utf8')

test('the page’s program finds our keys in a text, and nothing else', async () => {
  const code = /```js\n\/\/ scan.mjs\n([\s\S]*?)```/.exec(page)![1]!
  const { keysIn } = await import(`data:text/javascript,${encodeURIComponent(code)}`)
  const keys = Array.from({ length: 200 }, newVirtualKey)
  const others = keys.map((key) => key.replace(/.$/, (last) => (last === 'x' ? 'y' : 'x')))
  expect(keysIn(`OPENAI_API_KEY=${keys.join('"\n"')}; ${others.join(' ')} ${keys[0]}0`)).toEqual(keys)
})
