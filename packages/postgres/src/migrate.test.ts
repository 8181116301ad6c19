import { readdirSync } from 'node:fs'
import { databaseForThisTest } from '@nemo/testing/fresh-database'
import { expect, test } from 'vitest'
import { migrate } from './migrate.ts'

const ALL = readdirSync(new URL('./migrations', import.meta.url)).length

test('migrating again changes nothing', async () => {
  const database = await databaseForThisTest()
  expect(await migrate(database.url)).toEqual({ applied: [], functionsReplaced: false })
})

test('processes that start together take turns', async () => {
  const database = await databaseForThisTest()
  await database.owner.query('drop schema nemo cascade')
  const reports = await Promise.all([migrate(database.url), migrate(database.url), migrate(database.url)])
  expect(reports.map((report) => report.applied.length).sort()).toEqual([0, 0, ALL])
})

test('a migration that was edited after it had been applied is refused', async () => {
  const database = await databaseForThisTest()
  await database.owner.query(`update migrations set checksum = 'x' where name = '0002-tenants.sql'`)
  await expect(migrate(database.url)).rejects.toThrow('migration 0002-tenants.sql was edited after it had been applied')
})

test('a database of a later release is refused', async () => {
  const database = await databaseForThisTest()
  await database.owner.query(`insert into migrations (name, checksum) values ('9999-later.sql', 'x')`)
  await expect(migrate(database.url)).rejects.toThrow('migrated by a later release')
})

test('functions are replaced when any of them changed', async () => {
  const database = await databaseForThisTest()
  await database.owner.query(`update migrations set checksum = 'x' where name = 'functions'`)
  expect(await migrate(database.url)).toEqual({ applied: [], functionsReplaced: true })
})

test('an owner who is no superuser can migrate, and row security binds it too', async () => {
  const database = await databaseForThisTest()
  const name = new URL(database.url).pathname.slice(1)
  await database.owner.query('drop schema nemo cascade')
  await database.owner.query(`create role ${name}_owner login createrole password 'secret'`)
  await database.owner.query(
    `grant nemo_app, nemo_operator, nemo_kernel, nemo_identity to ${name}_owner with admin option`,
  )
  await database.owner.query(`grant create, connect on database ${name} to ${name}_owner`)
  const url = new URL(database.url)
  url.username = `${name}_owner`
  url.password = 'secret'
  try {
    expect((await migrate(url.href)).applied).toHaveLength(ALL)
    const { connect } = await import('./connect.ts')
    const app = connect(url.href, 'nemo_app', { max: 1 })
    expect((await app.query('select count(*)::int as n from virtual_keys')).rows[0].n).toBe(0)
    await app.end()
  } finally {
    await database.owner.query(`drop owned by ${name}_owner cascade`)
    await database.owner.query(`drop role ${name}_owner`)
  }
})
