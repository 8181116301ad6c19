import { loadCatalogue, removeProvider } from '@nemo/postgres/catalogue'
import { type Command, Option } from 'commander'
import { auditCommand } from '../audit-command.ts'
import { Failure } from '../failure.ts'
import { localTime } from '../local-time.ts'
import { withOperator } from '../open-database.ts'
import { print, printJson, printTable } from '../output.ts'
import { type CommonOptions, collect, examples, parseCount, withCommonOptions } from './options.ts'
import { addProvider } from './provider-add.ts'

export function addProviderCommands(program: Command): void {
  const provider = program
    .command('provider')
    .description('Add, list and remove provider credentials and their models.')
  withCommonOptions(provider.command('add <name>'))
    .description('Add a provider credential, or replace the one of that name, and deploy models on it.')
    .option(
      '--type <type>',
      'one of docs/providers.md, or openai-compatible with a base URL of its own; by the name unless told',
    )
    .option('--base-url <url>', 'where its API is, such as https://api.example.com/v1')
    .option('--api-key-env <variable>', 'take the key from this environment variable')
    .option('--api-key-stdin', 'take the key from standard input; it is never an argument, which others could see')
    .option('--setting <name=value>', 'what it needs beside the key, such as region=eu-central-1 (repeatable)', collect)
    .option('--no-api-key', 'it takes no key')
    .option(
      '--model <public[=upstream]>',
      'a model: the name callers use, and the provider’s where it differs (repeatable)',
      collect,
    )
    .addOption(
      new Option('--endpoint <endpoint>', 'what the models are called through')
        .choices(['chat', 'embeddings', 'images'])
        .default('chat'),
    )
    .option('--input-price <usd>', 'per million input tokens')
    .option('--cached-input-price <usd>', 'per million cached input tokens; as input unless told')
    .option('--output-price <usd>', 'per million output tokens')
    .option('--request-price <usd>', 'per request')
    .option('--image-price <usd>', 'per image')
    .option('--free', 'the models cost nothing')
    .option('--context <n>', 'the context window in tokens', parseCount)
    .option('--max-output <n>', 'the longest answer in tokens', parseCount)
    .addHelpText(
      'after',
      examples(
        'nemo provider add openai --api-key-env OPENAI_API_KEY',
        'nemo provider add local --base-url http://127.0.0.1:11434/v1 --model llama3.2 --free',
        'nemo provider add acme --base-url https://llm.acme.example/v1 --api-key-env ACME_KEY \\\n      --model fast=acme-small-2 --input-price 0.10 --output-price 0.40 --context 128000',
      ),
    )
    .action(addProvider)
  withCommonOptions(provider.command('list'))
    .description('List the provider credentials and what is deployed on them. Secrets are never shown.')
    .action(list)
  withCommonOptions(provider.command('remove <name>'))
    .description('Remove a credential, its deployments, and the models that nothing else serves.')
    .action(remove)
}

async function list(options: CommonOptions): Promise<void> {
  const { credentials, deployments } = await withOperator(options, loadCatalogue)
  const providers = credentials.map(({ id, name, provider, baseUrl, secret, createdAt }) => ({
    name,
    type: provider,
    base_url: baseUrl,
    has_key: secret !== null,
    models: deployments.filter((deployment) => deployment.credentialId === id).map((deployment) => deployment.group),
    created_at: createdAt,
  }))
  if (options.json) return printJson(providers)
  printTable(
    ['NAME', 'TYPE', 'BASE URL', 'KEY', 'MODELS', 'ADDED'],
    providers.map((one) => [
      one.name,
      one.type,
      one.base_url ?? 'its usual one',
      one.has_key ? 'in the vault' : 'none',
      one.models.join(', ') || '–',
      localTime(one.created_at),
    ]),
  )
}

async function remove(name: string, options: CommonOptions): Promise<void> {
  const removed = await withOperator(options, async (operator) => {
    const removed = await removeProvider(operator, name)
    if (!removed) throw new Failure(`There is no provider "${name}".`)
    await auditCommand(operator, { action: 'provider.removed', subject: { type: 'provider', id: name } })
    return removed
  })
  if (options.json) return printJson({ name, removed })
  print(`Removed ${name}.`)
}
