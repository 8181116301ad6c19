import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { afterAll, beforeAll, expect, test } from 'vitest'

let database: TestDatabase
let control: RunningControl

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database)
})
afterAll(async () => {
  await control?.close()
  await database?.close()
})

test('nobody reads who he is without having signed in', async () => {
  const answer = await control.call('GET', '/api/me')
  expect(answer.status).toBe(401)
  expect(answer.json.error).toMatchObject({ code: 'not_signed_in', type: 'authentication_error', param: null })
  expect(answer.headers['x-nemo-request-id']).toMatch(/^req_[0-9a-f]{32}$/)
})

test('the reference is there, runs nothing, and loads nothing from elsewhere', async () => {
  const page = await control.call('GET', '/api/docs')
  expect(page.status).toBe(200)
  expect(page.body).toContain('/api/me')
  expect(page.body).not.toMatch(/<script|(src|href)="(?![/#])/)
  expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  const document = (await control.call('GET', '/api/openapi.json')).json
  expect(document.openapi).toBe('3.1.0')
  expect(document.paths['/api/me'].get.operationId).toBe('getMe')
})
