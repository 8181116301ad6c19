import { hintOfVirtualKey } from '@nemo/domain/virtual-key'
import { loadCatalogue } from '@nemo/postgres/catalogue'
import { emitKeyEvent } from '@nemo/postgres/key-events'
import { findTeam, listTeams } from '@nemo/postgres/teams'
import { inTransaction } from '@nemo/postgres/tenancy'
import { createVirtualKey, revokeVirtualKey } from '@nemo/postgres/virtual-keys'
import type { Command } from 'commander'
import type pg from 'pg'
import { auditCommand } from '../audit-command.ts'
import { Failure, WrongUsage } from '../failure.ts'
import { withOperator } from '../open-database.ts'
import { note, print, printJson } from '../output.ts'
import { type LimitOptions, limitsOf, parseExpiry } from './key-limits.ts'
import { listKeys } from './key-list.ts'
import { type CommonOptions, examples, namesOf, parseCount, withCommonOptions } from './options.ts'
import { whichOrganization } from './which-organization.ts'

export function addKeyCommands(program: Command): void {
  const key = program.command('key').description('Make, list and revoke virtual keys.')
  withCommonOptions(key.command('create'))
    .description('Make a virtual key and print it, the only time that it is shown.')
    .requiredOption('--alias <name>', 'what the key is called in lists and logs')
    .option('--organization <slug>', 'whose it is; needed where there are several')
    .option('--team <name>', 'the team it belongs to', 'Default')
    .option('--rpm <n>', 'requests in any 60 seconds', parseCount)
    .option('--tpm <n>', 'tokens in any 60 seconds', parseCount)
    .option('--parallel <n>', 'requests at the same time', parseCount)
    .option('--budget <usd>', 'what it may spend, in USD')
    .option('--budget-window <window>', 'when the budget starts again: day, week, month (all UTC) or total, for never')
    .option('--models <names>', 'the only models it may call, separated by commas')
    .option('--tags <tags>', 'what every model that it calls must have, separated by commas: vision, json-schema, …')
    .option('--expires <when>', 'after a time (30d, 12h, 45m) or at a date (2027-01-31, or an ISO time)')
    .addHelpText(
      'after',
      examples('nemo key create --alias ci', 'nemo key create --alias web --rpm 60 --budget 20 --budget-window month'),
    )
    .action(create)
  withCommonOptions(key.command('list'))
    .description('List virtual keys with their limits and what is used of them now.')
    .option('--organization <slug>', 'of one organization; of all unless told')
    .option('--all', 'revoked keys too')
    .action(listKeys)
  withCommonOptions(key.command('revoke <id-or-alias>'))
    .description('Revoke a key for good. Every process refuses it within a second.')
    .option('--organization <slug>', 'whose it is; needed for an alias where there are several')
    .addHelpText('after', examples('nemo key revoke ci'))
    .action(revoke)
}

interface CreateOptions extends CommonOptions, LimitOptions {
  alias: string
  organization?: string
  team: string
  models?: string
  tags?: string
  expires?: string
}

async function create(options: CreateOptions): Promise<void> {
  if (!/^\S(.{0,198}\S)?$/.test(options.alias))
    throw new WrongUsage('--alias must be a name of at most 200 characters.')
  const limits = limitsOf(options)
  const expiresAt = options.expires === undefined ? undefined : parseExpiry(options.expires, new Date())
  const allowedModels = namesOf(options.models ?? '')
  const defaultTags = namesOf(options.tags ?? '')
  const made = await withOperator(options, async (operator) => {
    const organization = await whichOrganization(operator, options.organization)
    const team = await findTeam(operator, organization.id, options.team)
    if (!team) {
      const teams = (await listTeams(operator, organization.id)).map((one) => one.name)
      throw new Failure(`${organization.slug} has no team "${options.team}"; it has ${teams.join(', ')}.`)
    }
    for (const name of await unknownModels(operator, allowedModels)) note(`There is no model "${name}" yet.`)
    const { id, key } = await createVirtualKey(operator, {
      organizationId: organization.id,
      teamId: team.id,
      alias: options.alias,
      limits,
      ...(allowedModels.length > 0 && { allowedModels }),
      defaultTags,
      ...(expiresAt && { expiresAt }),
    }).catch((error) => {
      if (error.code !== '23505') throw error
      throw new Failure(
        `${organization.slug} has a key "${options.alias}" already: revoke it first, or choose another alias.`,
      )
    })
    await auditCommand(operator, {
      organizationId: organization.id,
      action: 'key.created',
      subject: { type: 'key', id, label: options.alias },
      after: {
        alias: options.alias,
        team_id: team.id,
        allowed_models: allowedModels,
        tags: defaultTags,
        limits,
        expires_at: expiresAt,
      },
    })
    const made = {
      id,
      organizationId: organization.id,
      teamId: team.id,
      alias: options.alias,
      hint: hintOfVirtualKey(key),
    }
    await inTransaction(operator, (tx) => emitKeyEvent(tx, 'key.created', made))
    return { id, key, organization: organization.slug }
  })
  if (options.json) return printJson({ ...made, alias: options.alias, expires_at: expiresAt ?? null })
  print(made.key)
  note(
    `This is the only time that the key is shown. It belongs to ${made.organization} and is called ${options.alias}.`,
  )
}

async function unknownModels(operator: pg.Pool, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return []
  const known = new Set((await loadCatalogue(operator)).deployments.map((deployment) => deployment.group))
  return names.filter((name) => !known.has(name))
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

async function revoke(idOrAlias: string, options: CommonOptions & { organization?: string }): Promise<void> {
  const revoked = await withOperator(options, async (operator) => {
    // An alias is unique within an organization only; an id says which key is meant by itself.
    const byId = UUID.test(idOrAlias) && options.organization === undefined
    const organization = byId ? null : await whichOrganization(operator, options.organization)
    const key = await revokeVirtualKey(operator, {
      idOrAlias,
      ...(organization && { organizationId: organization.id }),
    })
    if (key) {
      await auditCommand(operator, {
        organizationId: key.organizationId,
        action: 'key.revoked',
        subject: { type: 'key', id: key.id, label: key.alias },
      })
      await inTransaction(operator, (tx) => emitKeyEvent(tx, 'key.revoked', key, { reason: 'asked' }))
      return { id: key.id, alias: key.alias }
    }
    throw new Failure(
      `There is no key "${idOrAlias}"${organization ? ` in ${organization.slug}` : ''} that isn't revoked already.`,
    )
  })
  if (options.json) return printJson(revoked)
  print(`Revoked ${revoked.alias}.`)
}
