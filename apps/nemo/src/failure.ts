/** What stops a command and is told to the operator in one sentence. Exit code 1, or 2 where the command line itself is wrong. */
export class Failure extends Error {
  override readonly name: string = 'Failure'
  readonly exitCode: number = 1
}

export class WrongUsage extends Failure {
  override readonly name = 'WrongUsage'
  override readonly exitCode = 2
}

const NOT_MIGRATED = new Set(['42P01', '42883', '3F000'])
const REFUSED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH'])

/** The one sentence about any error. The stack is for NEMO_DEBUG. */
export function sentenceOf(error: unknown): string {
  // A host with two addresses fails with both errors at once, and without a message.
  if (error instanceof AggregateError && error.errors.length > 0) return sentenceOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  if (error instanceof Failure) return error.message
  const { code, syscall, path, address } = error as NodeJS.ErrnoException & { address?: string }
  if (code === '22023' && error.message.includes('"role"')) return unmigrated()
  if (code !== undefined && NOT_MIGRATED.has(code)) return unmigrated()
  if (code === '28P01' || code === '28000') return `The database refuses us: ${error.message}.`
  if (code !== undefined && REFUSED.has(code) && (syscall === 'connect' || syscall === 'getaddrinfo')) {
    return `The database can't be reached${address ? ` at ${address}` : ''}: ${error.message}.`
  }
  if ((code === 'EACCES' || code === 'EPERM') && path) return `No permission for ${path} (${error.message}).`
  return error.message || error.name
}

function unmigrated(): string {
  return 'The database has no schema of this release yet: run "nemo migrate" (or start nemo, which does it too).'
}
