import { open, readFile } from 'node:fs/promises'
import { type AuditEntry, type AuditLink, CHAIN_BEGIN, faultOf } from '@nemo/domain/audit-entry'
import { EXPORT_FORMATS, type ExportFormat, writeAuditExport } from '@nemo/domain/audit-export'
import { type AuditFilter, type AuditProof, exportAudit, listAudit, verifyAudit } from '@nemo/postgres/audit'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type pg from 'pg'
import { Failure, WrongUsage } from '../failure.ts'
import { localTime } from '../local-time.ts'
import { withOperator } from '../open-database.ts'
import { note, outputClosed, print, printJson, printPiece, printTable } from '../output.ts'
import { type CommonOptions, countOption, examples, withCommonOptions } from './options.ts'
import { whichOrganization } from './which-organization.ts'

export function addAuditCommands(program: Command): void {
  const audit = program
    .command('audit')
    .description('Read the audit log, and prove that nothing in it was changed, removed or moved.')
  withCommonOptions(audit.command('verify'))
    .description(
      'Compute every hash of the chain again, and name the first entry that is wrong. Exits with 1 when one is.',
    )
    .option('--organization <slug>', 'of one organization; of all and the operator’s own unless told')
    .option('--anchor <hash>', 'a hash that was kept elsewhere, which must be in the chain')
    .option('--file <export.json>', 'of a whole export instead of the database')
    .addHelpText(
      'after',
      examples(
        'nemo audit verify',
        'nemo audit verify --organization acme --anchor 9f2c…',
        'nemo audit verify --file audit.json',
      ),
    )
    .action(verify)
  withFilters(withCommonOptions(audit.command('list')))
    .description('Show the latest entries, oldest first.')
    .addOption(countOption('--limit <n>', 'how many, at most 1000', 50n))
    .addHelpText('after', examples('nemo audit list --organization acme --action "key.*" --from 2026-11-01'))
    .action(list)
  withFilters(withCommonOptions(audit.command('export')))
    .description('Write entries out, oldest first. A JSON export without filters can be verified by itself.')
    .addOption(
      new Option('--format <format>', 'json to keep and verify, csv for spreadsheets')
        .choices([...EXPORT_FORMATS])
        .default('json'),
    )
    .option('--output <file>', 'where to; to standard output unless told')
    .addHelpText(
      'after',
      examples(
        'nemo audit export --organization acme --output audit.json',
        'nemo audit export --format csv --from 2026-10-01 --to 2026-11-01',
      ),
    )
    .action(writeExport)
}

function withFilters(command: Command): Command {
  return command
    .option('--organization <slug>', 'of one organization; of all and the operator’s own unless told')
    .option('--actor <who>', 'an id, an e-mail address, or one of user, token, operator, system')
    .option('--action <noun.verb>', 'an action, or several with a * at the end')
    .option('--subject <what>', 'the id or the kind of what it was done to')
    .option('--from <time>', 'since then, that moment included', parseTime)
    .option('--to <time>', 'until then, that moment excluded', parseTime)
}

interface FilterOptions extends CommonOptions {
  organization?: string
  actor?: string
  action?: string
  subject?: string
  from?: Date
  to?: Date
}

function parseTime(text: string): Date {
  const time = new Date(text)
  if (Number.isNaN(time.getTime()))
    throw new InvalidArgumentError('It must be a time like 2026-11-20 or 2026-11-20T23:48:05Z.')
  return time
}

async function filterOf(operator: pg.Pool, options: FilterOptions): Promise<AuditFilter> {
  const { actor, action, subject, from, to } = options
  return {
    ...(options.organization !== undefined && {
      organizationId: (await whichOrganization(operator, options.organization)).id,
    }),
    ...(actor !== undefined && { actor }),
    ...(action !== undefined && { action }),
    ...(subject !== undefined && { subject }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  }
}

interface VerifyOptions extends CommonOptions {
  organization?: string
  anchor?: string
  file?: string
}

async function verify(options: VerifyOptions): Promise<void> {
  const { organization, anchor, file } = options
  if (anchor !== undefined && !/^[0-9a-f]{64}$/.test(anchor))
    throw new WrongUsage('--anchor must be a hash: 64 hexadecimal digits.')
  if (file !== undefined && organization !== undefined) throw new WrongUsage('Say --file or --organization, not both.')
  const proofs =
    file !== undefined
      ? [await verifyFile(file, anchor)]
      : await withOperator(options, async (operator) => {
          const organizationId =
            organization === undefined ? undefined : (await whichOrganization(operator, organization)).id
          return verifyAudit(operator, {
            ...(organizationId !== undefined && { organizationId }),
            ...(anchor !== undefined && { anchor }),
            onProgress: showProgress(),
          })
        })
  const lacksAnchor = anchor !== undefined && !proofs.some((proof) => proof.hasAnchor)
  const sound = !lacksAnchor && proofs.every((proof) => proof.fault === null)
  if (!sound) process.exitCode = 1
  if (options.json) {
    return printJson({
      sound,
      ...(anchor !== undefined && { has_anchor: !lacksAnchor }),
      chains: proofs.map(({ organizationId, slug, entries, hash, fault }) => ({
        organization_id: organizationId,
        organization: slug,
        entries,
        hash,
        fault,
      })),
    })
  }
  for (const proof of proofs) print(describe(proof))
  if (proofs.length === 0) print('The audit log is empty.')
  if (lacksAnchor) print(`✗ No entry has the hash ${anchor}: the log was rewritten since, or the hash is another’s.`)
}

function describe({ slug, organizationId, entries, hash, fault }: AuditProof): string {
  const whose = slug ?? (organizationId === null ? 'the operator' : organizationId)
  const many = `${entries} ${entries === 1 ? 'entry' : 'entries'}`
  if (!fault) return `✓ ${whose}: ${many}, the last with hash ${hash}`
  return `✗ ${whose}: ${fault.what}${fault.id ? ` (${fault.id})` : ''}; ${many} before it ${entries === 1 ? 'is' : 'are'} as written`
}

/** Tells a person who waits how far it is, once in a while. */
function showProgress(): (entries: number) => void {
  let next = 20_000
  return (entries) => {
    if (!process.stderr.isTTY || entries < next) return
    note(`${entries} entries …`)
    next = entries + 20_000
  }
}

/** The chain of an export. What its end should be only an anchor can tell. */
async function verifyFile(file: string, anchor: string | undefined): Promise<AuditProof> {
  const entries = await readExport(file)
  const organizationId = entries[0]?.organization_id ?? null
  let last: AuditLink = CHAIN_BEGIN
  let hasAnchor = false
  for (const entry of entries) {
    if (entry.organization_id !== organizationId)
      throw new Failure(`${file} has entries of several organizations: export one at a time, with --organization.`)
    const fault = faultOf(last, entry)
    if (fault) return { organizationId, slug: null, entries: last.sequence, hash: last.hash, fault, hasAnchor }
    last = entry
    hasAnchor ||= entry.hash === anchor
  }
  return { organizationId, slug: null, entries: last.sequence, hash: last.hash, fault: null, hasAnchor }
}

async function readExport(file: string): Promise<AuditEntry[]> {
  const text = await readFile(file, 'utf8')
  try {
    const entries: unknown = JSON.parse(text)
    if (
      Array.isArray(entries) &&
      entries.every((entry) => typeof entry === 'object' && entry !== null && 'hash' in entry)
    )
      return entries
  } catch {
    // Said below.
  }
  throw new Failure(`${file} is not a JSON export of the audit log.`)
}

async function list(options: FilterOptions & { limit: bigint }): Promise<void> {
  const limit = options.limit > 1000n ? 1000 : Number(options.limit)
  const entries = await withOperator(options, async (operator) =>
    (await listAudit(operator, await filterOf(operator, options), { limit })).reverse(),
  )
  if (options.json) {
    for (const entry of entries) printJson(entry)
    return
  }
  printTable(
    ['#', 'TIME', 'ACTOR', 'ADDRESS', 'ACTION', 'SUBJECT', 'CHANGE'],
    entries.map((entry) => [
      String(entry.sequence),
      localTime(new Date(entry.at)),
      entry.actor.label ?? entry.actor.id ?? entry.actor.kind,
      entry.address ?? '–',
      entry.action,
      `${entry.subject.type} ${entry.subject.label ?? entry.subject.id ?? ''}`.trim(),
      changeOf(entry),
    ]),
  )
}

function changeOf({ before, after }: AuditEntry): string {
  const short = (value: unknown) => (value === null ? '–' : JSON.stringify(value).slice(0, 60))
  return before === null && after === null ? '' : `${short(before)} → ${short(after)}`
}

async function writeExport(options: FilterOptions & { format: ExportFormat; output?: string }): Promise<void> {
  const count = await withOperator(options, async (operator) => {
    const filter = await filterOf(operator, options)
    let entries = 0
    const counted = async function* () {
      for await (const batch of exportAudit((act) => act(operator), filter)) {
        entries += batch.length
        yield batch
      }
    }
    const file = options.output === undefined ? null : await open(options.output, 'w', 0o600)
    try {
      for await (const text of writeAuditExport(counted(), options.json ? 'json' : options.format)) {
        if (file) await file.appendFile(text)
        else await printPiece(text)
        if (!file && outputClosed.aborted) break
      }
    } finally {
      await file?.close()
    }
    return entries
  })
  if (options.output !== undefined) note(`Wrote ${count} ${count === 1 ? 'entry' : 'entries'} to ${options.output}.`)
}
