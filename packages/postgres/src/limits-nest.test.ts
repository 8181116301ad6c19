import { uuidv7 } from '@nemo/domain/ids'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOrganization } from './organizations.ts'
import { inTransaction, type Transaction } from './tenancy.ts'
import { createVirtualKey } from './virtual-keys.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database?.close())

test('a child’s limit never exceeds its parent’s, though both are written at once', async () => {
  const { operator } = database
  const organization = await createOrganization(operator, 'x', 'x')
  const teamId = organization.defaultTeamId
  const { id } = await createVirtualKey(operator, { organizationId: organization.id, teamId, alias: 'a' })
  const write = (tx: Pick<Transaction, 'query'>, subject: string, subjectId: string, bound: number) =>
    tx.query(
      `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
       values ($1, $2, $3, $4, 'cost', 'day', $5)`,
      [uuidv7(), organization.id, subject, subjectId, bound],
    )
  let later: Promise<unknown> = Promise.resolve()
  await inTransaction(operator, async (tx) => {
    await write(tx, 'key', id, 100)
    // It can't see the other yet, which hasn't been committed; it may only go on once it can.
    later = write(operator, 'organization', organization.id, 10).catch((error) => error.code)
    await Promise.race([later, new Promise((resolve) => setTimeout(resolve, 100))])
  })
  expect(await later).toBe('23514')
})
