import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { type Person, signUp } from '@nemo/testing/people'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tidy } from './housekeeping.ts'

let database: TestDatabase
let control: RunningControl
let due: Person
let later: Person

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database)
  due = await signUp(control, 'due')
  later = await signUp(control, 'later')
})
afterAll(async () => {
  await control?.close()
  await database?.close()
})

test('what has had its time is gone, and nothing else', async () => {
  const { owner } = database
  for (const person of [due, later]) {
    const slug = (await person.call('GET', '/api/organization')).json.slug
    await person.call('POST', '/api/organization/delete', { slug })
    await control.call('POST', '/api/auth/forgot-password', { body: { email: person.email } })
    const body = { email: `${slug}-again@example.com`, password: person.password, name: 'Again' }
    await control.call('POST', '/api/auth/sign-up', { body })
  }
  await control.control.later.settled()
  await owner.query(`update organizations set delete_after = now() where id = $1`, [due.organizationId])
  await owner.query(`update sign_ups set expires_at = now() where email like 'due-%'`)
  await owner.query(`update password_resets set expires_at = now() where user_id = $1`, [due.id])
  await owner.query('update rate_limits set empty_at = now()')
  await tidy(control.control)
  const left = async (sql: string) => (await owner.query(sql)).rows
  expect(await left('select id from organizations where deleted_at is not null')).toEqual([{ id: due.organizationId }])
  expect(await left('select email from users')).toEqual([{ email: later.email }])
  expect(await left('select email from sign_ups')).toEqual([{ email: 'later-again@example.com' }])
  expect(await left('select user_id from password_resets')).toEqual([{ user_id: later.id }])
  expect(await left('select bucket from rate_limits')).toEqual([])
  await owner.query(`update sessions set last_seen_at = now() - interval '15 days'`)
  await tidy(control.control)
  expect(await left('select id from sessions')).toEqual([])
})

test('an organization that can’t be deleted keeps no other, and is told of', async () => {
  const { owner } = database
  const [stuck, next] = [await signUp(control, 'stuck'), await signUp(control, 'next')]
  await owner.query('update organizations set delete_after = now() where id = any ($1)', [
    [stuck.organizationId, next.organizationId],
  ])
  await owner.query(
    `create function nemo.stick() returns trigger language plpgsql as $$ begin raise exception 'stuck'; end $$`,
  )
  await owner.query(
    `create trigger stick before update on nemo.organizations for each row when (old.id = '${stuck.organizationId}') execute function nemo.stick()`,
  )
  await tidy(control.control)
  const { rows } = await owner.query('select id from organizations where deleted_at is not null and id = any ($1)', [
    [stuck.organizationId, next.organizationId],
  ])
  expect(rows).toEqual([{ id: next.organizationId }])
  expect(control.problems).toMatchObject([{ message: 'an organization could not be deleted' }])
})
