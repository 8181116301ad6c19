import { readFile } from 'node:fs/promises'
import { uuidOfRequestId } from '@nemo/domain/ids'
import { CHAIN_MAX, STRATEGIES, type Strategy } from '@nemo/domain/routing-settings'
import { deploymentNames, findRequestLog, type LogSpan } from '@nemo/postgres/replay-logs'
import { type Command, Option } from 'commander'
import type pg from 'pg'
import { Failure, WrongUsage } from '../failure.ts'
import { withOperator } from '../open-database.ts'
import { print, printJson } from '../output.ts'
import { comparisonReport } from '../replay/comparison-report.ts'
import { explain } from '../replay/explanation.ts'
import { type GivenPrices, readPrices } from '../replay/given-prices.ts'
import type { Policy } from '../replay/policy.ts'
import { printComparison } from '../replay/print-comparison.ts'
import { printExplanation } from '../replay/print-explanation.ts'
import { showProgress } from '../replay/progress.ts'
import { replaySpan } from '../replay/replay-span.ts'
import { parseMoment } from '../replay/span.ts'
import { type CommonOptions, examples, withCommonOptions } from './options.ts'
import { whichOrganization } from './which-organization.ts'

export function addReplayCommand(program: Command): void {
  withCommonOptions(program.command('replay [request-id]'))
    .description(
      'Make the decision of a logged call again, and say whether the same follows; or, with --since, what logged calls would have come to under another policy.',
    )
    .option('--since <when>', 'calls from then on: a time ago (7d, 12h, 45m) or a date (2027-01-31, or an ISO time)')
    .option('--until <when>', 'calls before then; now unless told')
    .option('--organization <slug>', 'calls of one organization; of all unless told')
    .option('--model <group>', 'calls that asked for this model group')
    .addOption(new Option('--strategy <strategy>', 'decide by this strategy').choices(STRATEGIES))
    .option('--chain <groups>', `fall back to these groups of today’s catalogue, ${CHAIN_MAX} at most: fast,cheap`)
    .option('--no-chain', 'fall back to no other group')
    .option('--prices <file>', 'at the prices in this JSON file: {"openai/gpt-5": {"input": "1.25", "output": "10"}}')
    .addHelpText(
      'after',
      `${LIMITS}\n${examples(
        'nemo replay req_0199c0de0000700080000000000000aa',
        'nemo replay --since 7d --strategy cost-based',
        'nemo replay --since 7d --model gpt-5 --chain claude-sonnet-4-5,gemini-2.5-pro --json',
        'nemo replay --since 2027-01-01 --until 2027-02-01 --prices prices.json',
      )}`,
    )
    .action(replay)
}

const LIMITS = `
With a request id the exit code says it: 0 when the attempts follow from the logged decision, 1 when they don't.

With --since the answer is an estimate. What was known of deployments when a call was decided (requests under way,
latency, load, what was left out) is taken as it was logged, though another policy would have changed it. A call keeps
its usage wherever it would have gone; models count tokens differently, and a cache may not be there. A deployment is
taken to answer, unless it failed this very call; failures are expected by its rate at the time, each place failing
by itself and being tried once. A group of --chain that wasn't in a call's own chain is taken to suit the call.`

interface ReplayOptions extends CommonOptions {
  since?: string
  until?: string
  organization?: string
  model?: string
  strategy?: Strategy
  /** False with --no-chain; commander makes it true where there is neither. */
  chain?: string | boolean
  prices?: string
}

async function replay(requestId: string | undefined, options: ReplayOptions): Promise<void> {
  if (requestId === undefined && options.since === undefined) {
    throw new WrongUsage('Say which call to replay by its request id, or which calls by --since.')
  }
  if (requestId === undefined) return replayMany(options.since!, options)
  const many =
    MANY.find((name) => options[name] !== undefined) ??
    (typeof options.chain === 'string' || options.chain === false ? 'chain' : null)
  if (many)
    throw new WrongUsage(`--${many} is for replaying the calls of a span with --since, and not for a single one.`)
  await replayOne(requestId, options)
}

const MANY = ['since', 'until', 'organization', 'model', 'strategy', 'prices'] as const

async function replayOne(requestId: string, options: ReplayOptions): Promise<void> {
  const id = uuidOfRequestId(requestId) ?? (UUID.test(requestId) ? requestId.toLowerCase() : null)
  if (id === null) {
    throw new WrongUsage(
      `"${requestId}" is no request id: it looks like req_0199c0de0000700080000000000000aa, as in x-nemo-request-id.`,
    )
  }
  const explanation = await withOperator(options, async (operator) => {
    const row = await findRequestLog(operator, id)
    if (!row)
      throw new Failure(
        `There is no call ${requestId} in the log: it may still be under way, or have been dropped with its day.`,
      )
    return explain(row, await deploymentNames(operator))
  })
  if (options.json) printJson(explanation)
  else printExplanation(explanation)
  if (!explanation.the_same) process.exitCode = 1
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

async function replayMany(since: string, options: ReplayOptions): Promise<void> {
  const policy = { strategy: options.strategy ?? null, chain: chainOf(options.chain) }
  const given = options.prices === undefined ? NO_PRICES : await pricesIn(options.prices)
  await withOperator(options, async (operator) => {
    const span = await spanOf(operator, since, options)
    const progress = showProgress()
    const { comparison, measures, names } = await replaySpan(operator, span, policy, given, progress.show)
    progress.end()
    const report = comparisonReport(comparison, measures, names)
    if (options.json) return printJson({ ...asked(span, policy, options), ...report })
    print(`${span.since.toISOString()} to ${span.until.toISOString()}, ${inWords(policy, options)}`)
    printComparison(report)
  })
}

const NO_PRICES: GivenPrices = new Map()

function chainOf(chain: ReplayOptions['chain']): string[] | null {
  if (chain === false) return []
  if (typeof chain !== 'string') return null
  const groups = chain.split(',').map((name) => name.trim())
  if (groups.includes(''))
    throw new WrongUsage('--chain needs the names of groups, with commas between them; --no-chain is for none.')
  if (groups.length > CHAIN_MAX) throw new WrongUsage(`--chain may name ${CHAIN_MAX} groups at most.`)
  return groups
}

async function pricesIn(file: string): Promise<GivenPrices> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new Failure(`The prices can't be read: ${error.message}.`)
  })
  return readPrices(text, file)
}

/** By the database's clock, since it is the one that all processes have in common. */
async function spanOf(operator: pg.Pool, since: string, options: ReplayOptions): Promise<LogSpan> {
  const { now } = (await operator.query('select clock_timestamp() as now')).rows[0] as { now: Date }
  const span = {
    since: parseMoment(since, '--since', now),
    until: options.until === undefined ? now : parseMoment(options.until, '--until', now),
  }
  if (span.since >= span.until) throw new WrongUsage('--since must be before --until, which is now unless told.')
  const { organization, model } = options
  return {
    ...span,
    organizationId: organization === undefined ? null : (await whichOrganization(operator, organization)).id,
    group: model ?? null,
  }
}

function asked(
  { since, until }: LogSpan,
  { strategy, chain }: Policy,
  { organization, model, prices }: ReplayOptions,
): object {
  return {
    since,
    until,
    organization: organization ?? null,
    model: model ?? null,
    policy: { strategy, chain, prices: prices ?? null },
  }
}

function inWords({ strategy, chain }: Policy, { prices }: ReplayOptions): string {
  const words = [
    ...(strategy ? [`by ${strategy}`] : []),
    ...(chain ? [chain.length === 0 ? 'without a chain' : `with the chain ${chain.join(', ')}`] : []),
    ...(prices ? [`at the prices in ${prices}`] : []),
  ]
  return words.length === 0 ? 'under the same policy:' : `${words.join(', ')}:`
}
