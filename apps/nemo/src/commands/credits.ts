import { formatUsd } from '@nemo/domain/money'
import { creditsOf, latestEntries } from '@nemo/postgres/ledger-entries'
import { postEntry } from '@nemo/postgres/organizations'
import type { Command } from 'commander'
import { auditCommand } from '../audit-command.ts'
import { WrongUsage } from '../failure.ts'
import { localTime } from '../local-time.ts'
import { withOperator } from '../open-database.ts'
import { print, printJson, printTable } from '../output.ts'
import { parseAmount } from './key-limits.ts'
import { type CommonOptions, countOption, examples, withCommonOptions } from './options.ts'
import { whichOrganization } from './which-organization.ts'

export function addCreditsCommands(program: Command): void {
  const credits = program
    .command('credits')
    .description('Grant credits to an organization, and see what became of them.')
  withCommonOptions(credits.command('grant'))
    .description('Put credits in. With a reference the same grant is made once, however often it is asked for.')
    .requiredOption('--amount <usd>', 'how much, in USD')
    .option('--organization <slug>', 'to whom; needed where there are several')
    .option('--note <text>', 'why, for people')
    .option('--reference <id>', 'what makes this grant the same as an earlier one')
    .addHelpText('after', examples('nemo credits grant --organization acme --amount 25 --reference invoice-17'))
    .action(grant)
  withCommonOptions(credits.command('show'))
    .description('Show the balance, what calls under way hold of it, and the last entries.')
    .option('--organization <slug>', 'whose; needed where there are several')
    .addOption(countOption('--limit <n>', 'how many entries', 20n))
    .action(show)
}

interface GrantOptions extends CommonOptions {
  amount: string
  organization?: string
  note?: string
  reference?: string
}

async function grant(options: GrantOptions): Promise<void> {
  const amountNanos = parseAmount(options.amount, '--amount')
  if (amountNanos === 0n) throw new WrongUsage('--amount must be more than 0.')
  const { entry, slug } = await withOperator(options, async (operator) => {
    const { id: organizationId, slug } = await whichOrganization(operator, options.organization)
    const { reference, note } = options
    const entry = await postEntry(operator, {
      organizationId,
      kind: 'grant',
      amountNanos,
      ...(reference !== undefined && { reference }),
      ...(note !== undefined && { note }),
    })
    if (entry.applied)
      await auditCommand(operator, {
        organizationId,
        action: 'credits.granted',
        subject: { type: 'ledger_entry', id: entry.id },
        after: { amount_usd: formatUsd(amountNanos), reference, note },
      })
    return { entry, slug }
  })
  const balance = formatUsd(entry.balanceAfterNanos)
  if (options.json) {
    return printJson({ organization: slug, entry_id: entry.id, applied: entry.applied, balance_after_usd: balance })
  }
  if (entry.applied) print(`Granted $${formatUsd(amountNanos)} to ${slug}. Its balance is $${balance}.`)
  else
    print(`Nothing was granted: ${slug} has had the grant "${options.reference}", which left a balance of $${balance}.`)
}

async function show(options: CommonOptions & { organization?: string; limit: bigint }): Promise<void> {
  const { slug, credits, entries } = await withOperator(options, async (operator) => {
    const { id, slug } = await whichOrganization(operator, options.organization)
    const entries = await latestEntries(operator, id, Number(options.limit))
    return { slug, entries, credits: await creditsOf(operator, id) }
  })
  const balance = formatUsd(credits.balanceNanos)
  const held = formatUsd(credits.heldNanos)
  if (options.json) {
    return printJson({
      organization: slug,
      balance_usd: balance,
      held_usd: held,
      entries: entries.map(({ id, account, kind, amountNanos, balanceAfterNanos, reference, note, createdAt }) => ({
        id,
        account,
        kind,
        amount_usd: formatUsd(amountNanos),
        balance_after_usd: formatUsd(balanceAfterNanos),
        reference,
        note,
        created_at: createdAt,
      })),
    })
  }
  print(`${slug} has $${balance} of credits, of which calls under way hold $${held}.\n`)
  printTable(
    ['WHEN', 'KIND', 'AMOUNT', 'BALANCE AFTER', 'REFERENCE', 'NOTE'],
    entries.map((entry) => [
      localTime(entry.createdAt),
      entry.kind,
      formatUsd(entry.amountNanos),
      formatUsd(entry.balanceAfterNanos),
      entry.reference ?? '–',
      entry.note ?? '',
    ]),
  )
}
