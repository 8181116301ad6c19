import { dropOperator, listOperators, makeOperator } from '@nemo/postgres/operators'
import { inTransaction, type Transaction } from '@nemo/postgres/tenancy'
import { type Account, findAccountByEmail } from '@nemo/postgres/users'
import type { Command } from 'commander'
import { auditCommand } from '../audit-command.ts'
import { Failure } from '../failure.ts'
import { localTime } from '../local-time.ts'
import { withOperator } from '../open-database.ts'
import { CLAIM_HOURS, newOperatorClaim } from '../operator-claim.ts'
import { note, print, printJson, printTable } from '../output.ts'
import { ownName } from '../own-name.ts'
import { publicUrlOfEnvironment } from '../public-url.ts'
import { type CommonOptions, examples, withCommonOptions } from './options.ts'

export function addOperatorCommands(program: Command): void {
  const operator = program
    .command('operator')
    .description('Who operates the platform: credentials, prices, organizations, over the API.')
  withCommonOptions(operator.command('claim-token'))
    .description(
      `Make another token that makes whoever has it the first operator, once, within ${CLAIM_HOURS} hours. Every start prints one while there is none.`,
    )
    .action(claimToken)
  withCommonOptions(operator.command('add <email>'))
    .description('Make somebody who has an account an operator.')
    .addHelpText('after', examples('nemo operator add ops@example.com'))
    .action(add)
  withCommonOptions(operator.command('list')).description('List the operators.').action(list)
  withCommonOptions(operator.command('remove <email>'))
    .description('Let somebody operate the platform no more; the account stays. The last one stays, too.')
    .action(remove)
}

async function claimToken(options: CommonOptions): Promise<void> {
  const claim = await withOperator(options, (operator) => newOperatorClaim(operator, publicUrlOfEnvironment()))
  if (!claim)
    throw new Failure(`There is an operator already. Make somebody else one with: ${ownName()} operator add <email>`)
  if (options.json) return printJson(claim)
  print(claim.curl)
  note(`Whoever has it may become the operator, once, within ${CLAIM_HOURS} hours.`)
}

async function add(email: string, options: CommonOptions): Promise<void> {
  const account = await withOperator(options, async (operator) => {
    const account = await accountOf(operator, email)
    await makeOperator(operator, account.id)
    await auditCommand(operator, {
      action: 'operator.added',
      subject: { type: 'user', id: account.id, label: account.email },
    })
    return account
  })
  if (options.json) return printJson({ id: account.id, email: account.email })
  print(`${account.email} is an operator.`)
}

async function list(options: CommonOptions): Promise<void> {
  const operators = await withOperator(options, (operator) => listOperators(operator))
  if (options.json) {
    return printJson(
      operators.map(({ id, email, name, totpEnabled, createdAt }) => ({
        ...{ id, email, name, totp_enabled: totpEnabled, created_at: createdAt },
      })),
    )
  }
  if (operators.length === 0) return print(`There is no operator yet: ${ownName()} operator claim-token`)
  printTable(
    ['EMAIL', 'NAME', 'SECOND FACTOR', 'ACCOUNT SINCE'],
    operators.map((one) => [one.email, one.name, one.totpEnabled ? 'yes' : 'no', localTime(one.createdAt)]),
  )
}

async function remove(email: string, options: CommonOptions): Promise<void> {
  await withOperator(options, async (operator) => {
    const { id, email: label } = await accountOf(operator, email)
    const dropped = await inTransaction(operator, (tx) => dropOperator(tx, id))
    if (dropped === null) throw new Failure(`${label} is no operator.`)
    if (dropped === 'last') throw new Failure('The platform keeps an operator: make somebody else one first.')
    await auditCommand(operator, { action: 'operator.removed', subject: { type: 'user', id, label } })
  })
  if (options.json) return printJson({ email, removed: true })
  print(`${email} operates the platform no more.`)
}

async function accountOf(operator: Transaction, email: string): Promise<Account> {
  const account = await findAccountByEmail(operator, email)
  if (!account) throw new Failure(`There is no account of ${email}.`)
  return account
}
