import { uuidv7 } from '@nemo/domain/ids'
import { databaseForThisTest } from '@nemo/testing/fresh-database'
import { expect, test } from 'vitest'
import { createOrganization } from './organizations.ts'
import { attemptedCalls, routedCalls } from './replay-logs.ts'

const SINCE = new Date('2027-01-01T00:00:00Z')
const UNTIL = new Date('2027-02-01T00:00:00Z')

test('every call of a span is read once, in its order, through bursts within a millisecond and days without any', async () => {
  const { operator, owner } = await databaseForThisTest()
  const acme = await createOrganization(operator, 'Acme', 'acme')
  const rival = await createOrganization(operator, 'Rival', 'rival')
  const log = (organizationId: string, count: number, startedAt: string, group = 'fast', attempts = '[{}]') =>
    owner.query(
      `insert into request_logs (id, organization_id, started_at, key_id, key_alias, team_id, endpoint, streamed, model_group, attempts, status, latency_ms)
       select gen_random_uuid(), $1, ${startedAt}, $2, 'key', $2, 'chat', false, $4, $5, 200, 1 from generate_series(1, $3) g`,
      [organizationId, uuidv7(), count, group, attempts],
    )
  await log(acme.id, 1, `'2026-12-31T23:59:59.999999Z'::timestamptz`)
  await log(acme.id, 1, `'2027-01-01T00:00:00Z'::timestamptz`)
  // More than a page within a millisecond, in microseconds that a Date forgets; and more than a page at once.
  await log(acme.id, 4_500, `'2027-01-03T00:00:00Z'::timestamptz + (g % 900) * interval '1 microsecond'`)
  await log(rival.id, 2_000, `'2027-01-03T00:00:00.000500Z'::timestamptz`)
  await log(acme.id, 300, `'2027-01-20T00:00:00Z'::timestamptz + g * interval '37 minutes'`, 'slow', '[]')
  await log(acme.id, 1, `'2027-02-01T00:00:00Z'::timestamptz`)

  const read = async (filter: { organizationId?: string; group?: string } = {}) => {
    const { organizationId = null, group = null } = filter
    const rows = []
    for await (const page of routedCalls(operator, { since: SINCE, until: UNTIL, organizationId, group }))
      rows.push(...page)
    return rows
  }
  const all = await read()
  const { rows } = await owner.query(
    'select id from request_logs where started_at >= $1 and started_at < $2 order by started_at, id',
    [SINCE, UNTIL],
  )
  expect(all.map(({ id }) => id)).toEqual(rows.map(({ id }) => id))
  expect(all).toHaveLength(1 + 4_500 + 2_000 + 300)
  expect(await read({ organizationId: rival.id })).toHaveLength(2_000)
  expect(await read({ group: 'slow', organizationId: acme.id })).toHaveLength(300)
  const attempted = []
  const everyone = { since: SINCE, until: UNTIL, organizationId: null, group: null }
  for await (const page of attemptedCalls(operator, everyone)) attempted.push(...page)
  expect(attempted).toHaveLength(1 + 4_500 + 2_000)
})
