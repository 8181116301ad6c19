import { ApiError } from '@nemo/domain/errors'
import { chainAt } from '@nemo/domain/routing-settings'
import { listGroups, setChain } from '@nemo/postgres/catalogue'
import type { Command } from 'commander'
import { auditCommand } from '../audit-command.ts'
import { Failure, WrongUsage } from '../failure.ts'
import { withOperator } from '../open-database.ts'
import { note, print, printJson, printTable } from '../output.ts'
import { type CommonOptions, examples, namesOf, withCommonOptions } from './options.ts'

export function addGroupCommands(program: Command): void {
  const group = program
    .command('group')
    .description('The model groups that callers ask for, and where they fall back to.')
  withCommonOptions(group.command('list'))
    .description('List the groups with their deployments and their chains.')
    .action(list)
  withCommonOptions(group.command('set <name>'))
    .description('Set the chain of a group: the groups to fall back to, in their order.')
    .requiredOption('--chain <groups>', 'separated by commas; "" for none')
    .addHelpText('after', examples('nemo group set gpt-5 --chain claude-sonnet-4-5,gemini-2.5-pro'))
    .action(set)
}

async function list(options: CommonOptions): Promise<void> {
  const groups = await withOperator(options, (operator) => listGroups(operator))
  if (options.json) return printJson(groups)
  if (groups.length === 0) return print('There is no group yet: a provider’s models bring theirs.')
  printTable(
    ['GROUP', 'DEPLOYMENTS', 'CHAIN', 'ORGANIZATION'],
    groups.map(({ name, deployments, chain, organization }) => [
      name,
      deployments.join(', '),
      chain.join(' → ') || '–',
      organization ?? '–',
    ]),
  )
}

async function set(name: string, options: CommonOptions & { chain: string }): Promise<void> {
  const chain = readChain(options.chain)
  const unknown = await withOperator(options, async (operator) => {
    if (!(await setChain(operator, name, chain))) throw new Failure(`There is no group "${name}".`)
    await auditCommand(operator, { action: 'group.updated', subject: { type: 'group', id: name }, after: { chain } })
    const known = new Set((await listGroups(operator)).map((group) => group.name))
    return chain.filter((next) => !known.has(next))
  })
  for (const next of unknown) note(`There is no group "${next}" yet: it is passed over until there is.`)
  if (options.json) return printJson({ name, chain })
  print(chain.length === 0 ? `${name} falls back to nothing.` : `${name} falls back to ${chain.join(', then ')}.`)
}

function readChain(text: string): string[] {
  try {
    return chainAt(namesOf(text), '--chain')
  } catch (error) {
    throw error instanceof ApiError ? new WrongUsage(error.message) : error
  }
}
