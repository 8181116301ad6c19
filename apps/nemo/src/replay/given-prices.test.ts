import { describe, expect, test } from 'vitest'
import { readPrices } from './given-prices.ts'
import { parseMoment } from './span.ts'

const read = (json: unknown) => [...readPrices(JSON.stringify(json), 'prices.json')]

describe('prices', () => {
  test('are USD per million by model and class, as text or as a number', () => {
    expect(read({ 'openai/gpt-5': { input: '1.25', output: 10 } })).toEqual([
      [
        'openai/gpt-5',
        {
          versionId: 'given openai/gpt-5',
          nanosPerMillion: { input: 1_250_000_000n, output: 10_000_000_000n },
        },
      ],
    ])
  })

  test('are taken as nemo models prints them, with their tiers', () => {
    const model = {
      id: 'openai/gpt-5',
      usdPerMillion: { input: '1' },
      tiers: [{ above: 200_000, usdPerMillion: { input: '2' } }],
      serviceTiers: { flex: { input: '0.5' } },
    }
    const price = {
      nanosPerMillion: { input: 1_000_000_000n },
      tiers: [{ above: 200_000, nanosPerMillion: { input: 2_000_000_000n } }],
      serviceTiers: { flex: { input: 500_000_000n } },
    }
    expect(read({ total: 1, models: [model] })).toMatchObject([['openai/gpt-5', price]])
    expect(read(model)).toMatchObject([['openai/gpt-5', price]])
  })

  test.each<[unknown, RegExp]>([
    [[], /must be an object/],
    [{}, /has no prices/],
    [{ models: [{}] }, /models\[0\] has no id/],
    [{ m: 3 }, /m must be an object/],
    [{ m: { inptu: '1' } }, /"inptu" is nothing that is billed/],
    [{ m: { input: '-1' } }, /m: input/],
    [{ m: { input: 'x' } }, /m: input/],
    [{ m: { input: null } }, /m: input/],
    [{ m: { usdPerMillion: {}, tiers: [{ above: -1, usdPerMillion: {} }] } }, /above/],
    [{ m: { usdPerMillion: {}, pictures: [{}] } }, /pictures/],
  ])('%j are refused with what is wrong', (json, says) => {
    expect(() => read(json)).toThrow(says)
  })

  test('that are no JSON are refused in one sentence', () => {
    expect(() => readPrices('{', 'prices.json')).toThrow(/^prices.json is not JSON/)
  })
})

describe('a moment', () => {
  const now = new Date('2027-01-31T12:00:00Z')

  test.each([
    ['7d', '2027-01-24T12:00:00.000Z'],
    ['90m', '2027-01-31T10:30:00.000Z'],
    ['2027-01-01', '2027-01-01T00:00:00.000Z'],
    ['2027-01-01T10:00:00+01:00', '2027-01-01T09:00:00.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(parseMoment(text, '--since', now).toISOString()).toBe(iso)
  })

  test.each(['yesterday', '7w', '-1d', '2027-13-45'])('%s is none', (text) => {
    expect(() => parseMoment(text, '--since', now)).toThrow(/^--since/)
  })
})
