import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Route } from '@nemo/api/route'
import { ROUTES } from '@nemo/api/routes'
import { expect, test } from 'vitest'

const SOURCE = join(import.meta.dirname, '..')
const page = readFileSync(join(import.meta.dirname, '../../../../docs/errors.md'), 'utf8')
const section = page.slice(page.indexOf('## The control plane'))

/** As `409 name_taken`, of the tables in a text. */
function documented(text: string): string[] {
  return [...text.matchAll(/^\| (\d{3}) \| ([^|]+) \|/gm)].flatMap(([, status, codes]) =>
    [...codes!.matchAll(/`([a-z_]+)`/g)].map(([, code]) => `${status} ${code}`),
  )
}

/** Those that the code of the control plane gives itself. */
function given(): string[] {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
  )
  const source = files.map((file) => readFileSync(join(SOURCE, file), 'utf8')).join('\n')
  return [
    ...[...source.matchAll(/new ApiError\(\s*(\d{3}),\s*'([a-z_]+)'/g)].map(([, status, code]) => `${status} ${code}`),
    ...[...source.matchAll(/\bconflict\(\s*'([a-z_]+)'/g)].map(([, code]) => `409 ${code}`),
  ]
}

const ofRoutes = (Object.values(ROUTES) as Route[]).flatMap(({ errors = [] }) => errors)

test('docs/errors.md says of each code when the control plane gives it, and of none that it doesn’t give', () => {
  const known = new Set([...given(), ...ofRoutes])
  expect(known.size).toBeGreaterThan(50)
  expect([...known].filter((code) => !documented(page).includes(code))).toEqual([])
  expect(documented(section).filter((code) => !known.has(code))).toEqual([])
})

/** What follows from a route's access and schemas, or may befall any of them. */
const OF_ANY = [
  ...['400 invalid_request', '401 not_signed_in', '404 not_found', '415 unsupported_media_type'],
  ...['403 foreign_origin', '403 no_organization', '403 organization_closing', '403 organization_suspended'],
  ...['403 permission_denied', '403 session_required', '429 rate_limit_exceeded', '503 busy'],
]

test('a code that isn’t any route’s is named by the routes that give it', () => {
  expect(given().filter((code) => !OF_ANY.includes(code) && !ofRoutes.includes(code as `${number} ${string}`))).toEqual(
    [],
  )
})
