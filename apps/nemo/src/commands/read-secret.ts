import { text } from 'node:stream/consumers'
import { WrongUsage } from '../failure.ts'
import { note } from '../output.ts'

const SECRET_BYTES_MAX = 16_384

/** One line from standard input. */
export async function readSecret(): Promise<string> {
  if (process.stdin.isTTY) note('Paste the key, then press Enter and Ctrl-D:')
  const secret = (await text(process.stdin)).trim()
  if (secret === '') throw new WrongUsage('There was no key on standard input.')
  if (secret.length > SECRET_BYTES_MAX || /[^\x21-\x7e]/.test(secret)) {
    throw new WrongUsage('What came on standard input is not a key: one line of visible characters.')
  }
  return secret
}
