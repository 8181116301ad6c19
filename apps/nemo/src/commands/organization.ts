import { formatUsd } from '@nemo/domain/money'
import { createOrganization, listOrganizations } from '@nemo/postgres/organizations'
import type { Command } from 'commander'
import { Failure, WrongUsage } from '../failure.ts'
import { localTime } from '../local-time.ts'
import { withOperator } from '../open-database.ts'
import { print, printJson, printTable } from '../output.ts'
import { ownName } from '../own-name.ts'
import { type CommonOptions, examples, withCommonOptions } from './options.ts'

export function addOrganizationCommands(program: Command): void {
  const organization = program.command('organization').description('Make and list organizations, the tenants.')
  withCommonOptions(organization.command('create <slug>'))
    .description('Make an organization, with a team "Default" and no credits.')
    .option('--name <name>', 'how people read it; the slug unless told')
    .addHelpText('after', examples('nemo organization create acme --name "Acme Ltd."'))
    .action(create)
  withCommonOptions(organization.command('list'))
    .description('List the organizations with their credit balances.')
    .action(list)
}

async function create(slug: string, options: CommonOptions & { name?: string }): Promise<void> {
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(slug)) {
    throw new WrongUsage(`"${slug}" is not a slug: use lowercase letters, digits and hyphens, at most 63 of them.`)
  }
  const made = await withOperator(options, (operator) =>
    createOrganization(operator, options.name ?? slug, slug).catch((error) => {
      if (error.code === '23505') throw new Failure(`There is an organization "${slug}" already.`)
      throw error
    }),
  )
  if (options.json) return printJson({ id: made.id, slug: made.slug, name: made.name })
  print(
    `Made organization ${slug}. It has no credits yet: ${ownName()} credits grant --organization ${slug} --amount 5`,
  )
}

async function list(options: CommonOptions): Promise<void> {
  const organizations = await withOperator(options, listOrganizations)
  if (options.json) {
    return printJson(
      organizations.map(({ id, slug, name, createdAt, balanceNanos }) => ({
        id,
        slug,
        name,
        created_at: createdAt,
        balance_usd: formatUsd(balanceNanos),
      })),
    )
  }
  printTable(
    ['SLUG', 'NAME', 'BALANCE', 'CREATED'],
    organizations.map((one) => [one.slug, one.name, `$${formatUsd(one.balanceNanos)}`, localTime(one.createdAt)]),
  )
}
