import { readFile } from 'node:fs/promises'
import { email as emailSchema } from '@nemo/api/schema'
import { newSecret } from '@nemo/control/identity/secrets'
import { ApiError } from '@nemo/domain/errors'
import { formatUsd } from '@nemo/domain/money'
import { ROLES, type Role } from '@nemo/domain/roles'
import { type RoutingSettings, readRoutingSettings, STRATEGIES, type Strategy } from '@nemo/domain/routing-settings'
import { createInvitation } from '@nemo/postgres/invitations'
import {
  createOrganization,
  findOrganization,
  listOrganizations,
  setOrganization,
  writtenSettings,
} from '@nemo/postgres/organizations'
import { inTransaction } from '@nemo/postgres/tenancy'
import { type Command, Option } from 'commander'
import { auditCommand } from '../audit-command.ts'
import { Failure, WrongUsage } from '../failure.ts'
import { localTime } from '../local-time.ts'
import { withOperator } from '../open-database.ts'
import { print, printJson, printTable } from '../output.ts'
import { ownName } from '../own-name.ts'
import { publicUrlOfEnvironment } from '../public-url.ts'
import { type CommonOptions, examples, withCommonOptions } from './options.ts'
import { whichOrganization } from './which-organization.ts'

export function addOrganizationCommands(program: Command): void {
  const organization = program.command('organization').description('Make and list organizations, the tenants.')
  withCommonOptions(organization.command('create <slug>'))
    .description('Make an organization, with a team "Default" and no credits.')
    .option('--name <name>', 'how people read it; the slug unless told')
    .addHelpText('after', examples('nemo organization create acme --name "Acme Ltd."'))
    .action(create)
  withCommonOptions(organization.command('invite <slug> <email>'))
    .description('Invite somebody into an organization, and print the link that lets him in, once, for seven days.')
    .addOption(new Option('--role <role>', 'what he is there').choices([...ROLES]).default('owner'))
    .addHelpText('after', examples('nemo organization invite acme ada@example.com'))
    .action(invite)
  withCommonOptions(organization.command('set <slug>'))
    .description('Say how the calls of an organization are treated. What isn’t named stays as it is.')
    .addOption(new Option('--strategy <strategy>', 'how deployments are picked').choices([...STRATEGIES]))
    .addOption(
      new Option('--uncapped <what>', 'what becomes of a call without a cap that doesn’t fit in full').choices([
        'clamp',
        'refuse',
      ]),
    )
    .addOption(
      new Option('--drop-unsupported <what>', 'leave out fields that a provider has nothing like').choices([
        'on',
        'off',
      ]),
    )
    .addOption(
      new Option(
        '--keep-responses <what>',
        'keep what responses were made of for 30 days, for previous_response_id',
      ).choices(['on', 'off']),
    )
    .option(
      '--routing <json>',
      'retries, timeouts, cooldown, stickiness, and by group chain, weights and drops: JSON, or @ and the name of a file; {} for the operator’s own',
    )
    .addHelpText('after', examples('nemo organization set acme --strategy least-busy --keep-responses on'))
    .action(set)
  withCommonOptions(organization.command('list'))
    .description('List the organizations with their credit balances.')
    .action(list)
}

async function invite(slug: string, address: string, options: CommonOptions & { role: Role }): Promise<void> {
  const { role } = options
  const email = emailSchema.safeParse(address).data
  if (email === undefined) throw new WrongUsage(`"${address}" is not an e-mail address.`)
  const { secret, hash } = newSecret()
  const { invitation, organization } = await withOperator(options, async (operator) => {
    const organization = await whichOrganization(operator, slug)
    const { id: organizationId } = organization
    const invitation = await inTransaction(operator, (tx) =>
      createInvitation(tx, { organizationId, email, role, hash, invitedBy: null }),
    )
    await auditCommand(operator, {
      organizationId,
      action: 'invitation.created',
      subject: { type: 'invitation', id: invitation.id, label: email },
      after: { email, role },
    })
    return { invitation, organization }
  })
  const link = `${publicUrlOfEnvironment()}/accept-invitation#token=${secret}`
  if (options.json) {
    const expires_at = invitation.expiresAt.toISOString()
    return printJson({ id: invitation.id, organization: organization.slug, email, role, link, expires_at })
  }
  print(link)
}

async function create(slug: string, options: CommonOptions & { name?: string }): Promise<void> {
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(slug)) {
    throw new WrongUsage(`"${slug}" is not a slug: use lowercase letters, digits and hyphens, at most 63 of them.`)
  }
  const made = await withOperator(options, async (operator) => {
    const made = await createOrganization(operator, options.name ?? slug, slug).catch((error) => {
      if (error.code === '23505') throw new Failure(`There is an organization "${slug}" already.`)
      throw error
    })
    await auditCommand(operator, {
      organizationId: made.id,
      action: 'organization.created',
      subject: { type: 'organization', id: made.id, label: slug },
      after: { name: made.name, slug },
    })
    return made
  })
  if (options.json) return printJson({ id: made.id, slug: made.slug, name: made.name })
  print(
    `Made organization ${slug}. It has no credits yet: ${ownName()} credits grant --organization ${slug} --amount 5`,
  )
}

interface SetOptions extends CommonOptions {
  strategy?: Strategy
  uncapped?: 'clamp' | 'refuse'
  dropUnsupported?: 'on' | 'off'
  keepResponses?: 'on' | 'off'
  routing?: string
}

async function set(
  slug: string,
  { strategy, uncapped, dropUnsupported, keepResponses, routing, ...options }: SetOptions,
): Promise<void> {
  const settings = {
    ...(strategy !== undefined && { strategy }),
    ...(uncapped !== undefined && { uncapped }),
    ...(dropUnsupported !== undefined && { dropUnsupported: dropUnsupported === 'on' }),
    ...(keepResponses !== undefined && { keepResponses: keepResponses === 'on' }),
    ...(routing !== undefined && { routing: await readRouting(routing) }),
  }
  if (Object.keys(settings).length === 0)
    throw new WrongUsage('Say what to set: --strategy, --uncapped, --drop-unsupported, --keep-responses or --routing.')
  await withOperator(options, async (operator) => {
    if (!(await setOrganization(operator, slug, settings).catch(asUsage)))
      throw new Failure(`There is no organization "${slug}".`)
    const { id } = (await findOrganization(operator, slug))!
    await auditCommand(operator, {
      organizationId: id,
      action: 'organization.settings_updated',
      subject: { type: 'organization', id, label: slug },
      after: writtenSettings(settings),
    })
  })
  if (options.json) return printJson({ slug, ...writtenSettings(settings) })
  print(`Set ${Object.keys(settings).length === 1 ? 'it' : 'them'} for ${slug}. Every process knows within a second.`)
}

/** What is wrong with the names in it is known only to the database. */
function asUsage(error: unknown): never {
  throw error instanceof ApiError ? new WrongUsage(`--routing: ${error.param}: ${error.message}`) : error
}

async function readRouting(text: string): Promise<RoutingSettings> {
  try {
    return readRoutingSettings(JSON.parse(text.startsWith('@') ? await readFile(text.slice(1), 'utf8') : text))
  } catch (error) {
    throw new WrongUsage(`--routing: ${(error as Error).message}`)
  }
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
