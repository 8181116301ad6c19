#!/usr/bin/env node
// Bundles the binary into dist/ (or the folder given): nemo.mjs, and beside it the SQL that `nemo migrate` reads at run time.
import { chmod, copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const out = resolve(process.argv[2] ?? join(root, 'dist'))
const startedAt = performance.now()

await Promise.all([bundle(), copySql('migrations'), copySql('functions'), copySql('.', ['grants.sql'])])
process.stderr.write(`built ${join(out, 'nemo.mjs')} in ${Math.round(performance.now() - startedAt)} ms\n`)

async function bundle() {
  const result = await build({
    entryPoints: [join(root, 'apps/nemo/src/main.ts')],
    outfile: join(out, 'nemo.mjs'),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: 'linked',
    // The stack of an error shows our lines; the text of our sources is not needed for that, and would double the map.
    sourcesContent: false,
    legalComments: 'none',
    // pg looks for its native variant, which we don't ship, and goes on without.
    external: ['pg-native'],
    // esbuild keeps the shebang of main.ts. CommonJS packages ask for node's modules by require, which an ES module doesn't have.
    banner: {
      js: `import { createRequire as createRequireOfBundle } from 'node:module'\nconst require = createRequireOfBundle(import.meta.url)`,
    },
    logLevel: 'warning',
    write: false,
  })
  await mkdir(out, { recursive: true })
  for (const file of result.outputFiles) await replaceFile(file.path, (path) => writeFile(path, file.contents))
  await chmod(join(out, 'nemo.mjs'), 0o755)
}

async function copySql(folder, only) {
  const from = join(root, 'packages/postgres/src', folder)
  const to = join(out, folder)
  await mkdir(to, { recursive: true })
  const names = only ?? (await readdir(from)).filter((name) => name.endsWith('.sql'))
  for (const name of names) await replaceFile(join(to, name), (path) => copyFile(join(from, name), path))
  if (only) return
  // A migration that another branch had built would be applied here.
  for (const name of await readdir(to)) if (name.endsWith('.sql') && !names.includes(name)) await rm(join(to, name))
}

// By a rename, because a nemo may be starting from these files at this moment.
async function replaceFile(path, write) {
  const temporary = `${path}.${process.pid}`
  await write(temporary)
  await rename(temporary, path)
}
