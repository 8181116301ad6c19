import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Route } from '@nemo/api/route'
import { ROUTES } from '@nemo/api/routes'
import { expect, test } from 'vitest'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/operator.md'), 'utf8')
const routes = (Object.values(ROUTES) as Route[]).filter(({ path }) => path.startsWith('/api/operator/'))

/** The route that a line of the page calls, with its body. */
function called(line: string): { route: Route; body: string | undefined } {
  const path = /\$NEMO(\/api\/operator[^\s"?]*)/.exec(line)![1]!
  const body = /(?:-d|--json) '([^']+)'/.exec(line)?.[1]
  const method = /-X (\w+)/.exec(line)?.[1] ?? (body === undefined ? 'GET' : 'POST')
  const matches = (route: Route) =>
    route.method === method && new RegExp(`^${route.path.replaceAll(/:[a-z_]+/g, '[^/]+')}$`).test(path)
  // What is named exactly comes before what any id fits.
  const route = routes.find(({ path: own, method: by }) => own === path && by === method) ?? routes.find(matches)
  if (!route) throw new Error(`there is no route for: ${line}`)
  return { route, body }
}

test('every line of the page calls a route that there is, with a body that it takes', () => {
  const lines = page
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => /^(ops|curl) /.test(line))
  expect(lines.length).toBeGreaterThan(30)
  for (const line of lines) {
    const { route, body } = called(line)
    expect(route.body === undefined, line).toBe(body === undefined)
    if (body === undefined || typeof route.body !== 'object') continue
    const given = JSON.parse(body, (name, value) =>
      typeof value === 'string' && value.endsWith('…') ? placeholderOf(name) : value,
    )
    expect(route.body.safeParse(given).error, line).toBeUndefined()
  }
})

function placeholderOf(name: string): string {
  if (name === 'token') return 'A'.repeat(43)
  if (name === 'secret') return 'sk-example'
  return name.endsWith('_id') ? '019abc12-3456-7890-abcd-ef0123456789' : 'correct horse battery'
}
