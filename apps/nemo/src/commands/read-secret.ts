import { text } from 'node:stream/consumers'
import { readProviderSecret } from '@nemo/domain/provider-credential'
import { WrongUsage } from '../failure.ts'
import { note } from '../output.ts'

/** A provider's secret from standard input. */
export async function readSecret(): Promise<string> {
  if (process.stdin.isTTY) note('Paste the key, then press Enter and Ctrl-D:')
  const given = await text(process.stdin)
  if (given.trim() === '') throw new WrongUsage('There was no key on standard input.')
  const secret = readProviderSecret(given)
  if (secret === null)
    throw new WrongUsage('What came on standard input is not a key: one line of visible characters, or JSON.')
  return secret
}
