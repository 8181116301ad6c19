import { basename, relative } from 'node:path'

/** How the operator calls us, for the commands that we tell him to type. */
export function ownName(): string {
  if (process.env.npm_lifecycle_event) return 'npm run nemo --'
  const script = process.argv[1] ?? 'nemo'
  if (basename(script) === 'nemo') return 'nemo'
  const path = relative(process.cwd(), script)
  return `node ${path.startsWith('..') ? script : path}`
}
