#!/usr/bin/env node
// Writes the snapshot of models and prices that a release carries, from @pydantic/genai-prices (MIT), which collects them from providers' pages. Run it after
// the package was updated: node scripts/build-catalogue.mjs
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProvider } from '@pydantic/genai-prices'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)
const entry = require.resolve('@pydantic/genai-prices')
const { version } = JSON.parse(await readFile(join(dirname(dirname(entry)), 'package.json'), 'utf8'))

// The package has no list of its providers: their ids are in its text.
const ids = new Set(
  [...(await readFile(entry, 'utf8')).matchAll(/\bid:\s*[`"']([a-z0-9._-]+)[`"']/g)].map((match) => match[1]),
)
const providers = [...ids]
  .sort()
  .map((providerId) => findProvider({ providerId }))
  .filter(Boolean)
const unique = [...new Map(providers.map((provider) => [provider.id, provider])).values()]
const kept = unique.map(({ id, models }) => ({
  id,
  models: models.map(({ id, context_window, deprecated, prices }) => ({
    id,
    ...(context_window && { context_window }),
    ...(deprecated && { deprecated }),
    prices,
  })),
}))
const out = join(root, 'packages/domain/src/price-book/snapshot.json')
await writeFile(
  out,
  `${JSON.stringify({ source: `@pydantic/genai-prices ${version}`, providers: kept }).replaceAll('},{"id"', '},\n{"id"')}\n`,
)
process.stdout.write(`${kept.length} providers, ${kept.reduce((sum, { models }) => sum + models.length, 0)} models\n`)
