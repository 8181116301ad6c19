import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, test } from 'vitest'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
})

afterAll(async () => {
  await database?.close()
})

/** An instant; then where its window begins and ends. */
const CASES = {
  day: [
    ['2026-03-08T04:59:59.999Z', '2026-03-08', '2026-03-09'],
    ['2026-03-29T00:00:00.000Z', '2026-03-29', '2026-03-30'],
    ['2026-11-01T23:59:59.999Z', '2026-11-01', '2026-11-02'],
    ['2028-02-29T12:00:00.000Z', '2028-02-29', '2028-03-01'],
  ],
  week: [
    ['2026-03-08T23:59:59.999Z', '2026-03-02', '2026-03-09'],
    ['2026-03-09T00:00:00.000Z', '2026-03-09', '2026-03-16'],
    ['2026-10-25T01:30:00.000Z', '2026-10-19', '2026-10-26'],
    ['2027-01-01T00:00:00.000Z', '2026-12-28', '2027-01-04'],
  ],
  month: [
    ['2026-01-31T23:59:59.999Z', '2026-01-01', '2026-02-01'],
    ['2026-03-01T00:00:00.000Z', '2026-03-01', '2026-04-01'],
    ['2028-02-29T23:59:59.999Z', '2028-02-01', '2028-03-01'],
    ['2026-12-31T23:59:59.999Z', '2026-12-01', '2027-01-01'],
  ],
}

test.each(['UTC', 'America/New_York', 'Europe/Berlin', 'Pacific/Kiritimati'])(
  'windows begin and end at midnight UTC, whatever the clocks of %s do',
  async (zone) => {
    const client = await database.owner.connect()
    try {
      await client.query(`select set_config('timezone', $1, false)`, [zone])
      for (const [window, cases] of Object.entries(CASES)) {
        for (const [now, start, end] of cases) {
          const { rows } = await client.query(
            'select nemo.window_start($1, $2) as starts_at, nemo.window_end($1, $2) as ends_at',
            [window, now],
          )
          expect(rows, `${window} of ${now}`).toEqual([{ starts_at: new Date(start!), ends_at: new Date(end!) }])
        }
      }
    } finally {
      client.release(true)
    }
  },
)
