import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const FIXTURES = join(import.meta.dirname, '../../fixtures')
const [HEAD, , ...ROWS] = readFileSync(join(FIXTURES, 'README.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

test.each(['anthropic', 'gemini', 'converse', 'cohere', 'openai'])(
  'the table says of every golden of %s whether it is recorded, or which page it was made from, and no others are in it',
  (dialect) => {
    const column = HEAD!.indexOf(dialect)
    const told = ROWS.map((row) => row[column]!).flatMap((cell) => {
      if (cell === '–') return []
      const [, , names] = /^(recorded|\[documentation\]\(https:\/\/[^)]+\)): (.+)$/.exec(cell) ?? []
      expect(names, cell).toBeDefined()
      return names!.split(', ')
    })
    const files = readdirSync(join(FIXTURES, dialect)).filter((file) => !file.endsWith('.ts'))
    const cases = new Set(files.map((file) => file.replace(/(\.[a-z]+)?\.(json|txt)$/, '')))
    const refused = (name: string) => (files.includes(`${name}.refused.json`) ? '*' : '')
    expect(told.sort()).toEqual([...cases].map((name) => name + refused(name)).sort())
  },
)
