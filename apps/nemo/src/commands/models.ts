import { findProvider } from '@nemo/codec/providers'
import type { OfferedModel } from '@nemo/domain/catalogue'
import { formatUsd } from '@nemo/domain/money'
import type { PictureRate } from '@nemo/domain/picture'
import { snapshotModels } from '@nemo/domain/price-book/snapshot'
import type { Rates, ServiceTiers } from '@nemo/domain/pricing'
import { USAGE_CLASSES } from '@nemo/domain/usage'
import { loadCatalogue } from '@nemo/postgres/catalogue'
import { addModels, decideQuarantined, quarantinedPrices } from '@nemo/postgres/price-book'
import { inTransaction } from '@nemo/postgres/tenancy'
import { type Command, Option } from 'commander'
import type pg from 'pg'
import { auditCommand } from '../audit-command.ts'
import { Failure } from '../failure.ts'
import { localTime } from '../local-time.ts'
import { withOperator } from '../open-database.ts'
import { note, print, printJson, printTable } from '../output.ts'
import {
  factsSource,
  PRICES_URL,
  pricesSource,
  refreshCatalogue,
  refreshModelFacts,
} from '../start/catalogue-refresh.ts'
import { type CommonOptions, collect, countOption, examples, parseCount, withCommonOptions } from './options.ts'
import { type ModelOptions, modelsOf } from './provider-models.ts'

interface ListOptions {
  provider?: string
  capability?: string[]
  endpoint?: string
  limit: bigint
  offset: bigint
  json?: boolean
}

export function addModelsCommands(program: Command): void {
  const models = program.command('models').description('The catalogue: which models there are, and what they cost.')
  models
    .command('list [text]')
    .description('List the models that this release knows prices of; with a text, those whose name has it.')
    .option('--provider <name>', 'only of this provider')
    .option('--capability <tag>', 'only with this capability tag (repeatable)', collect)
    .addOption(new Option('--endpoint <endpoint>').choices(['chat', 'embeddings', 'images']))
    .addOption(countOption('--limit <n>', 'how many', 50n))
    .addOption(countOption('--offset <n>', 'after how many', 0n))
    .option('--json', 'print JSON')
    .addHelpText('after', examples('models list --provider anthropic', 'models list claude --capability vision --json'))
    .action(list)
  withCommonOptions(models.command('show <id>'))
    .description('Show a model with its prices, such as openai/gpt-5.')
    .option('--deployed', 'as it is deployed here, with what the operator and the refreshes have said of it')
    .action(show)
  withCommonOptions(models.command('add <public[=upstream]>'))
    .description('Deploy a model on a provider credential that is there.')
    .requiredOption('--on <credential>', 'the name of the credential')
    .addOption(new Option('--endpoint <endpoint>').choices(['chat', 'embeddings', 'images']).default('chat'))
    .option('--input-price <usd>', 'per million input tokens')
    .option('--cached-input-price <usd>', 'per million cached input tokens; as input unless told')
    .option('--output-price <usd>', 'per million output tokens')
    .option('--request-price <usd>', 'per request')
    .option('--second-price <usd>', 'per second of sound, beside the price of tokens')
    .option('--search-price <usd>', 'per search that the provider makes; without it none can be asked for')
    .option('--image-price <usd>', 'per image')
    .option('--picture-price <which=usd>', 'per image by quality/size, such as hd/1024x1024=0.08 (repeatable)', collect)
    .option('--megapixel-price <usd>', 'per megapixel of an image, rounded up')
    .option('--free', 'the model costs nothing')
    .option('--context <n>', 'the context window in tokens', parseCount)
    .option('--max-output <n>', 'the longest answer in tokens', parseCount)
    .option('--rpm <n>', 'how many requests the provider allows in 60 seconds', parseCount)
    .option('--tpm <n>', 'how many tokens the provider allows in 60 seconds', parseCount)
    .option('--deprecates <day>', 'from which day on the provider serves it no more, such as 2027-01-31')
    .action(add)
  withCommonOptions(models.command('refresh'))
    .description(
      'Take the latest published prices and facts of models into the catalogue now; it is done daily by itself.',
    )
    .option('--url <url>', 'where the prices are; NEMO_PRICES_URL, or genai-prices’ own data, unless told')
    .option('--facts-url <url>', 'where the facts are; NEMO_MODEL_FACTS_URL, or LiteLLM’s own data, unless told')
    .action(refresh)
  withCommonOptions(models.command('quarantine'))
    .description('List prices that moved by more than half and wait for a decision.')
    .action(listQuarantined)
  for (const [verb, does] of [
    ['accept', 'Put a waiting price into force.'],
    ['reject', 'Keep a waiting price out, until the source says another.'],
  ] as const) {
    withCommonOptions(models.command(`${verb} <id>`))
      .description(does)
      .action((id: string, options: CommonOptions) => decide(id, verb === 'accept', options))
  }
}

function list(text: string | undefined, options: ListOptions): void {
  const tags = options.capability ?? []
  const found = snapshotModels().filter(
    ({ id, provider, endpoint, capabilities }) =>
      (text === undefined || id.includes(text)) &&
      (options.provider === undefined || provider === options.provider) &&
      (options.endpoint === undefined || endpoint === options.endpoint) &&
      tags.every((tag) => capabilities.includes(tag)),
  )
  const from = Number(options.offset)
  const page = found.slice(from, from + Number(options.limit))
  if (options.json) printJson({ total: found.length, models: page.map(described) })
  else if (found.length === 0) note('No model is like that.')
  else printPage(found, from, page)
}

function printPage(found: readonly OfferedModel[], from: number, page: readonly OfferedModel[]): void {
  printTable(
    ['MODEL', 'INPUT', 'CACHED', 'OUTPUT', 'CONTEXT', 'CAPABILITIES'],
    page.map((model) => [
      model.id,
      usd(model.nanosPerMillion.input),
      usd(model.nanosPerMillion.cachedInput),
      usd(model.nanosPerMillion.output),
      model.contextTokens === null ? '' : String(model.contextTokens),
      model.capabilities.join(' '),
    ]),
  )
  const left = found.length - from - page.length
  note(`USD per million tokens.${left > 0 ? ` ${left} more: --offset ${from + page.length}.` : ''}`)
}

async function show(id: string, options: CommonOptions & { deployed?: boolean }): Promise<void> {
  const models = options.deployed ? await withOperator(options, deployedModels) : snapshotModels()
  const model = models.find((one) => one.id === id) ?? models.find(({ group }) => group === id && !group.includes('/'))
  if (!model) {
    throw new Failure(
      options.deployed
        ? `No model "${id}" with a price is deployed here.`
        : `There is no model "${id}" in the catalogue: "nemo models list" shows those that are.`,
    )
  }
  if (options.json) printJson(described(model))
  else printModel(model)
}

async function deployedModels(operator: pg.Pool): Promise<OfferedModel[]> {
  const { deployments } = await loadCatalogue(operator)
  return deployments.flatMap(({ model, group, upstreamModel, price }) => {
    if (price === null) return []
    const { versionId, ...rest } = price
    return [{ ...model, ...rest, group, upstreamModel, priceSource: `version ${versionId}` }]
  })
}

function printModel(model: OfferedModel): void {
  print(`${model.id}, called by ${model.endpoint} as ${model.group}`)
  print(`context ${model.contextTokens ?? 'not known'}, longest answer ${model.outputTokensMax ?? 'not known'}`)
  print(`capabilities: ${model.capabilities.join(', ') || 'none known'}`)
  if (model.requestsPerMinute || model.tokensPerMinute)
    print(
      `advertised in 60 seconds: ${model.requestsPerMinute ?? 'any number of'} requests, ${model.tokensPerMinute ?? 'any number of'} tokens`,
    )
  if (model.deprecatesOn) print(`served until ${model.deprecatesOn}`)
  const rows = (label: string, rates: Rates) =>
    Object.entries(rates).map(([usageClass, nanos]) => [label, usageClass, formatUsd(nanos)])
  const tiered = (label: string, tiers: ServiceTiers = {}) =>
    Object.entries(tiers).flatMap(([tier, rates]) => rows(`${tier}${label}`, rates))
  printTable(
    ['FOR', 'CLASS', 'USD PER MILLION'],
    [
      ...rows('all', model.nanosPerMillion),
      ...(model.tiers ?? []).flatMap(({ above, nanosPerMillion }) => rows(`input > ${above}`, nanosPerMillion)),
      ...tiered('', model.serviceTiers),
      ...(model.tiers ?? []).flatMap(({ above, serviceTiers }) => tiered(`, input > ${above}`, serviceTiers)),
      ...(model.pictures ?? []).map((row) => [
        labelOf(row),
        row.perMegapixel ? 'megapixel' : 'image',
        formatUsd(row.nanosPerMillion),
      ]),
    ],
  )
  print(`prices: ${model.priceSource}`)
}

function labelOf({ quality, size, isDefault }: PictureRate): string {
  const which = [quality, size].filter((word) => word !== undefined).join(' ') || 'all'
  return isDefault ? `${which}, unless asked` : which
}

async function add(name: string, options: CommonOptions & ModelOptions & { on: string }): Promise<void> {
  const added = await withOperator(options, async (operator) => {
    const { credentials } = await loadCatalogue(operator)
    const provider = findProvider(credentials.find((credential) => credential.name === options.on)?.provider ?? '')
    if (!provider)
      throw new Failure(`There is no provider credential "${options.on}": "nemo provider list" shows those that are.`)
    const models = modelsOf(options.on, provider, { ...options, model: [name] }, true)
    await addModels(operator, options.on, models, {
      requestsPerMinute: options.rpm === undefined ? null : Number(options.rpm),
      tokensPerMinute: options.tpm === undefined ? null : Number(options.tpm),
    })
    for (const { id, group, upstreamModel, priceSource } of models) {
      await auditCommand(operator, {
        action: 'model.deployed',
        subject: { type: 'model', id },
        after: { on: options.on, group, upstream_model: upstreamModel, price_source: priceSource },
      })
    }
    return models.map(({ group }) => group)
  })
  if (options.json) return printJson({ on: options.on, models: added })
  print(`Deployed ${added.join(', ')} on ${options.on}.`)
}

async function refresh(options: CommonOptions & { url?: string; factsUrl?: string }): Promise<void> {
  // Whoever asks for it by command wants it though it isn't done daily.
  const url = options.url ?? pricesSource() ?? PRICES_URL
  // Who names a source of prices, perhaps where there is no way out, isn't sent elsewhere for the rest.
  const factsUrl = options.factsUrl ?? (options.url ? null : factsSource())
  const problems: string[] = []
  const report = await withOperator(options, async (operator) => {
    const prices = await refreshCatalogue(operator, url, (problem) => problems.push(problem)).catch((cause) => {
      throw new Failure(`The prices could not be refreshed: ${(cause as Error).message}. Nothing was changed.`)
    })
    if (factsUrl === null) return { ...prices, facts: null }
    try {
      return { ...prices, facts: await refreshModelFacts(operator, factsUrl) }
    } catch (cause) {
      note(`The facts of models could not be refreshed: ${(cause as Error).message}. They are as they were.`)
      return { ...prices, facts: null }
    }
  })
  if (options.json) return printJson({ ...report, skipped: problems.length })
  for (const what of ['added', 'changed', 'quarantined'] as const) {
    if (report[what].length > 0) print(`${what}: ${report[what].join(', ')}`)
  }
  print(`${report.unchanged} unchanged, ${problems.length} could not be read.`)
  if (report.facts !== null) print(`Of ${report.facts} models something else was news.`)
  if (report.quarantined.length > 0) note('"nemo models quarantine" shows what waits for a decision.')
}

async function listQuarantined(options: CommonOptions): Promise<void> {
  const waiting = await withOperator(options, quarantinedPrices)
  if (options.json) {
    return printJson(
      waiting.map(({ before, after, ...rest }) => ({ ...rest, before: usdOf(before), after: usdOf(after) })),
    )
  }
  if (waiting.length === 0) return note('No price waits for a decision.')
  printTable(
    ['MODEL', 'SEEN', 'CLASS', 'NOW', 'WOULD BE'],
    waiting.flatMap(({ modelId, before, after, seenAt }) => {
      const moved = USAGE_CLASSES.filter((usageClass) => before[usageClass] !== after[usageClass])
      const rows = moved.map((usageClass) => [usageClass, usd(before[usageClass]), usd(after[usageClass])])
      return (rows.length > 0 ? rows : [['for long inputs', '', '']]).map((row) => [modelId, localTime(seenAt), ...row])
    }),
  )
}

async function decide(id: string, accept: boolean, options: CommonOptions): Promise<void> {
  await withOperator(options, async (operator) => {
    const done = await inTransaction(operator, (tx) => decideQuarantined(tx, id, accept))
    if (!done) throw new Failure(`No price of "${id}" waits for a decision.`)
    await auditCommand(operator, {
      action: accept ? 'price.accepted' : 'price.rejected',
      subject: { type: 'model', id },
    })
  })
  if (options.json) return printJson({ model: id, accepted: accept })
  print(accept ? `The new price of ${id} is in force.` : `The price of ${id} stays as it is.`)
}

function described({ nanosPerMillion, tiers = [], serviceTiers = {}, pictures = [], ...model }: OfferedModel): object {
  return {
    ...model,
    deprecatesOn: model.deprecatesOn ?? null,
    requestsPerMinute: model.requestsPerMinute ?? null,
    tokensPerMinute: model.tokensPerMinute ?? null,
    usdPerMillion: usdOf(nanosPerMillion),
    tiers: tiers.map((tier) => ({
      above: tier.above,
      usdPerMillion: usdOf(tier.nanosPerMillion),
      serviceTiers: usdByTier(tier.serviceTiers ?? {}),
    })),
    serviceTiers: usdByTier(serviceTiers),
    pictures: pictures.map(({ nanosPerMillion: nanos, ...row }) => ({ ...row, usdPerMillion: formatUsd(nanos) })),
  }
}

function usdByTier(tiers: ServiceTiers): object {
  return Object.fromEntries(Object.entries(tiers).map(([tier, rates]) => [tier, usdOf(rates)]))
}

function usdOf(rates: Rates): Record<string, string> {
  return Object.fromEntries(Object.entries(rates).map(([usageClass, nanos]) => [usageClass, formatUsd(nanos)]))
}

function usd(nanos: bigint | undefined): string {
  return nanos === undefined ? '' : formatUsd(nanos)
}
