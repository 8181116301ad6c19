// The gateway as `nemo start` runs it: PostgreSQL of its own on a fresh data folder with the settings it ships with, one organization with
// credits, one key, one provider. Says where it is in a line of JSON. When its stdin ends it stops, and the folder goes with it.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseUsd } from '@nemo/domain/money'
import { seal } from '@nemo/domain/vault'
import { startEmbeddedPostgres } from '@nemo/embedded-postgres/embedded-postgres'
import { namedProcess } from '@nemo/embedded-postgres/process-identity'
import { Gateway } from '@nemo/gateway/gateway'
import { listen } from '@nemo/gateway/server'
import { DEFAULT_SETTINGS } from '@nemo/gateway/settings'
import { saveProvider } from '@nemo/postgres/catalogue'
import { connect } from '@nemo/postgres/connect'
import { migrate } from '@nemo/postgres/migrate'
import { createOrganization, postEntry } from '@nemo/postgres/organizations'
import { createVirtualKey, type NewLimit } from '@nemo/postgres/virtual-keys'

interface Setup {
  readonly baseUrl: string
  readonly model: string
  readonly upstreamModel: string
  readonly priceUsd: { readonly input: string; readonly output: string }
  /** False leaves the credit balance as the only limit. */
  readonly limited: boolean
}

/** With the balance, five counters that every request is held against. None of them is ever reached. */
const LIMITS: readonly NewLimit[] = [
  { resource: 'cost', window: 'month', bound: parseUsd('1000000') },
  { resource: 'requests', window: 'minute', bound: 1_000_000_000n },
  { resource: 'tokens', window: 'minute', bound: 1_000_000_000_000n },
  { resource: 'parallel', window: 'now', bound: 1_000_000n },
]

const setup: Setup = JSON.parse(process.argv[2]!)
const note = (context: object, message: string) => console.error(message, context)
const dataFolder = await mkdtemp(join(tmpdir(), 'nemo-bench-'))
const postgres = await startEmbeddedPostgres({ dataFolder })
const masterKey = randomBytes(32)

await migrate(postgres.url)
const key = await furnish(setup)
const gateway = await Gateway.start({
  databaseUrl: postgres.url,
  masterKey,
  journalFolder: join(dataFolder, 'journal'),
  journalOwner: namedProcess,
  settings: DEFAULT_SETTINGS,
  log: { warn: note, error: note },
})
const server = await listen(gateway, { host: '127.0.0.1', port: 0 })
const announcement = { url: server.url, key, databaseUrl: postgres.url, pid: process.pid, postgresPid: postgres.pid }
process.stdout.write(`${JSON.stringify(announcement)}\n`)

process.stdin.resume().once('end', async () => {
  await server.drain(5_000)
  await gateway.close()
  await postgres.stop()
  await rm(dataFolder, { recursive: true, force: true })
  process.exit(0)
})

async function furnish({ baseUrl, model, upstreamModel, priceUsd, limited }: Setup): Promise<string> {
  const operator = connect(postgres.url, 'nemo_operator', { max: 1 })
  const secret = seal(masterKey, 'sk-upstream', 'bench')
  await saveProvider(operator, { name: 'bench', provider: 'openai-compatible', baseUrl, secret }, [
    {
      id: `openai-compatible/${upstreamModel}`,
      provider: 'openai-compatible',
      endpoint: 'chat',
      contextTokens: 128_000,
      outputTokensMax: 16_384,
      capabilities: [],
      group: model,
      upstreamModel,
      nanosPerMillion: { input: parseUsd(priceUsd.input), output: parseUsd(priceUsd.output) },
      priceSource: 'bench',
    },
  ])
  const { id, defaultTeamId } = await createOrganization(operator, 'bench', 'bench')
  await postEntry(operator, { organizationId: id, kind: 'grant', amountNanos: parseUsd('1000000'), reference: 'bench' })
  const issued = await createVirtualKey(operator, {
    organizationId: id,
    teamId: defaultTeamId,
    alias: 'bench',
    limits: limited ? LIMITS : [],
  })
  await operator.end()
  return issued.key
}
