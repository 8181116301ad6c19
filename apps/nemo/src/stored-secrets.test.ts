import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { saveProvider } from '@nemo/postgres/catalogue'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { masterKeyFor, SANDBOX } from './stored-secrets.ts'

let database: TestDatabase
let dataFolder: string

beforeAll(async () => {
  database = await freshDatabase()
  dataFolder = await mkdtemp(join(tmpdir(), 'nemo-secrets-'))
})
afterAll(async () => {
  await rm(dataFolder, { recursive: true, force: true })
  await database?.close()
})

test('a master key is made for nobody who has secrets under another, be they of people or providers', async () => {
  const { operator, owner } = database
  const save = (name: string) =>
    saveProvider(operator, { name, provider: name, baseUrl: 'https://a.example', secret: Buffer.from('sealed') }, [])
  await save(SANDBOX)
  await owner.query(
    `insert into users (id, email, name, totp_secret) values (gen_random_uuid(), 'a@a.example', 'A', 'x')`,
  )
  await expect(masterKeyFor(operator, dataFolder)).rejects.toThrow('holds secrets (users.totp_secret)')
  await save('openai')
  await expect(masterKeyFor(operator, dataFolder)).rejects.toThrow('holds secrets (openai, users.totp_secret)')
  expect(existsSync(join(dataFolder, 'master.key'))).toBe(false)
  await owner.query('delete from users')
  await owner.query(`delete from provider_credentials where name = 'openai'`)
  const made = await masterKeyFor(operator, dataFolder)
  expect((await masterKeyFor(operator, dataFolder)).key).toEqual(made.key)
})
