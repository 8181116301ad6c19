import { statSync } from 'node:fs'
import { MASTER_KEY_BYTES, masterKeyId, masterKeyIdOfSealed, reseal, unseal } from '@nemo/domain/vault'
import { changeSealedSecrets, type Progress, type SealedSecret, sealedSecrets } from '@nemo/postgres/sealed-secrets'
import type { Command } from 'commander'
import type pg from 'pg'
import { Failure } from '../failure.ts'
import {
  type MasterKey,
  masterKeyFile,
  previousMasterKeyFile,
  readMasterKey,
  readMasterKeyFile,
  replaceMasterKey,
} from '../master-key.ts'
import { withOperator } from '../open-database.ts'
import { note, print, printJson, printTable } from '../output.ts'
import { type CommonOptions, examples, withCommonOptions } from './options.ts'

export function addVaultCommands(program: Command): void {
  const vault = program
    .command('vault')
    .description('Secrets that are stored sealed, and the master key that they are sealed under.')
  withCommonOptions(vault.command('status'))
    .description('Count the stored secrets by the master key that they are sealed under, and say which of them open.')
    .action(status)
  withCommonOptions(vault.command('rotate'))
    .description('Seal every stored secret under another master key: all of them or none.')
    .option('--new-master-key-file <file>', `the key to change to: ${MASTER_KEY_BYTES} bytes in hexadecimal or base64`)
    .addHelpText(
      'after',
      `
Stopped, in one step: name the new key with --new-master-key-file. It takes the place of the data folder's; one of NEMO_MASTER_KEY you replace yourself.

Without a stop: start every process with the new key in NEMO_MASTER_KEY and the old one in NEMO_MASTER_KEY_PREVIOUS, so that each opens both
and seals with the new one; then rotate, without --new-master-key-file; then take NEMO_MASTER_KEY_PREVIOUS away.

Whatever interrupts it, run it again: nothing or everything was done. Keep the old key for as long as you keep backups from before.
${examples('openssl rand -hex 32 > new.key && chmod 600 new.key', 'nemo vault rotate --new-master-key-file new.key')}`,
    )
    .action(rotate)
}

async function status(options: CommonOptions): Promise<void> {
  const counted = await withOperator(options, async (operator, { dataFolder }) => {
    const { keys } = masterKeyOf(dataFolder)
    const counts = new Map<string, { place: string; master_key: string; count: number; opens: number }>()
    for await (const secret of sealedSecrets(operator)) {
      const sealedUnder = masterKeyIdOfSealed(secret.sealed) ?? 'an earlier release'
      const name = `${secret.place} ${sealedUnder}`
      const count = counts.get(name) ?? { place: secret.place, master_key: sealedUnder, count: 0, opens: 0 }
      counts.set(name, { ...count, count: count.count + 1, opens: count.opens + (opens(keys, secret) ? 1 : 0) })
    }
    return { master_key: masterKeyId(keys[0]!), secrets: [...counts.values()] }
  })
  if (options.json) return printJson(counted)
  note(`New secrets are sealed under master key ${counted.master_key}.`)
  printTable(
    ['SECRETS', 'MASTER KEY', 'COUNT', 'OPEN'],
    counted.secrets.map(({ place, master_key, count, opens }) => [place, master_key, String(count), String(opens)]),
  )
}

function opens(keys: readonly Buffer[], { sealed, context }: SealedSecret): boolean {
  try {
    unseal(keys, sealed, context)
    return true
  } catch {
    return false
  }
}

async function rotate(options: CommonOptions & { newMasterKeyFile?: string }): Promise<void> {
  const { newMasterKeyFile: file } = options
  const done = await withOperator(options, async (operator, { dataFolder }) => {
    const current = masterKeyOf(dataFolder)
    const target = file === undefined ? current.key : readMasterKeyFile(file)
    if (file !== undefined) warnIfOpen(file)
    const isNew = !target.equals(current.key)
    if (isNew) await insistThatNothingRuns(operator)
    const report = await changeSealedSecrets(
      operator,
      ({ place, id, sealed, context }) => {
        try {
          return reseal([...current.keys, target], target, sealed, context)
        } catch (error) {
          throw new Failure(
            `Nothing was changed: ${(error as Error).message} (${place}, ${id}). Give the key that opens it in NEMO_MASTER_KEY_PREVIOUS.`,
          )
        }
      },
      options.json ? () => {} : tell,
    )
    const isOurFile = current.origin === masterKeyFile(dataFolder)
    if (isNew && isOurFile) replaceMasterKey(dataFolder, target)
    return { master_key: masterKeyId(target), replaced: isNew && isOurFile, isNew, dataFolder, report }
  })
  const { dataFolder, isNew, ...told } = done
  if (options.json) return printJson(told)
  print(`Every secret is sealed under master key ${done.master_key}.`)
  if (done.replaced)
    note(
      `It is in ${masterKeyFile(dataFolder)} now; the one before is in ${previousMasterKeyFile(dataFolder)}: keep a copy elsewhere, with your backups.`,
    )
  else if (isNew)
    note('Set NEMO_MASTER_KEY to the new key before the next start: nothing opens with the old one any more.')
}

function masterKeyOf(dataFolder: string): MasterKey {
  const found = readMasterKey(dataFolder)
  if (found) return found
  throw new Failure(
    'There is no master key: set NEMO_MASTER_KEY to that of "nemo start", or name its data folder with --data.',
  )
}

/** A process that has only the old key would open nothing any more. */
async function insistThatNothingRuns(operator: pg.Pool): Promise<void> {
  const { rows } = await operator.query(
    `select count(*)::int as alive from processes where dead_at is null and heartbeat_at > clock_timestamp() - interval '20 seconds'`,
  )
  if (rows[0].alive === 0) return
  throw new Failure(
    `${rows[0].alive} nemo process${rows[0].alive === 1 ? ' runs' : 'es run'} with the old key: stop first (and wait 20 seconds if one was killed), or rotate without a stop, as "nemo vault rotate --help" says.`,
  )
}

function warnIfOpen(file: string): void {
  if ((statSync(file).mode & 0o077) !== 0) note(`${file} can be read by others: chmod 600 ${file}`)
}

function tell({ place, seen, changed }: Progress): void {
  if (seen > 0) note(`${place}: ${changed} of ${seen} sealed anew`)
}
