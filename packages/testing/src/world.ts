import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { uuidv7 } from '@nemo/domain/ids'
import { parseUsd } from '@nemo/domain/money'
import type { Price } from '@nemo/domain/pricing'
import { seal } from '@nemo/domain/vault'
import { saveProvider } from '@nemo/postgres/catalogue'
import { createOrganization, type Organization, postEntry } from '@nemo/postgres/organizations'
import { createVirtualKey, type NewLimit, type NewVirtualKey } from '@nemo/postgres/virtual-keys'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { freshDatabase, type TestDatabase } from './fresh-database.ts'

/** The named world: organizations `acme`, with keys `researcher` and `writer`, and `rival`, each with $5 of credits. */
export interface World {
  readonly database: TestDatabase
  readonly sandbox: Sandbox
  readonly masterKey: Buffer
  readonly journalFolder: string
  readonly acme: Organization
  readonly rival: Organization
  readonly researcher: IssuedKey
  readonly writer: IssuedKey
  readonly rivalKey: IssuedKey
  /** Another key, with limits, in an organization of its own choosing. */
  issueKey(
    organization: Organization,
    alias: string,
    limits?: readonly NewLimit[],
    more?: Pick<NewVirtualKey, 'allowedModels' | 'allowedEndpoints' | 'allowedNetworks' | 'expiresAt' | 'defaultTags'>,
  ): Promise<IssuedKey>
  /** Another place that serves `sandbox-chat`, in the group of this name: everyone's, or one organization's own. Answers with its id. */
  deploy(group: string, baseUrl: string, more?: { organization?: Organization }): Promise<string>
  /** An organization with just so many credits. */
  organization(slug: string, credits: string): Promise<Organization>
  close(): Promise<void>
}

export interface IssuedKey {
  readonly id: string
  readonly key: string
}

/** What one million units cost in `sandbox-chat`: an ordinary small model's prices. */
export const CHAT_PRICE: Price['nanosPerMillion'] = {
  input: parseUsd('0.15'),
  cachedInput: parseUsd('0.075'),
  output: parseUsd('0.6'),
}
/** `sandbox-flat` costs a cent a request, whatever it says. */
export const FLAT_PRICE: Price['nanosPerMillion'] = { request: parseUsd('10000') }

/** On a database of its own, or on one that is given, migrated and empty. */
export async function makeWorld(given?: TestDatabase): Promise<World> {
  const database = given ?? (await freshDatabase())
  const sandbox = await startSandbox()
  const masterKey = randomBytes(32)
  const journalFolder = await mkdtemp(join(tmpdir(), 'nemo-journal-'))
  const { operator } = database

  const model = (
    name: string,
    endpoint: 'chat' | 'embeddings' | 'images',
    nanosPerMillion: Price['nanosPerMillion'],
    capabilities: string[] = [],
  ) => ({
    id: `sandbox/${name}`,
    provider: 'sandbox',
    endpoint,
    contextTokens: 128_000,
    outputTokensMax: endpoint === 'chat' ? 4_096 : null,
    capabilities,
    group: name,
    upstreamModel: name,
    nanosPerMillion,
    priceSource: 'test',
  })
  await saveProvider(
    operator,
    {
      name: 'sandbox',
      provider: 'sandbox',
      baseUrl: sandbox.url,
      secret: seal(masterKey, 'sandbox-secret', 'sandbox'),
    },
    [
      model('sandbox-chat', 'chat', CHAT_PRICE, ['function-calling', 'vision']),
      model('sandbox-flat', 'chat', FLAT_PRICE),
      model('sandbox-embeddings', 'embeddings', { input: parseUsd('0.02') }),
      model('sandbox-images', 'images', { image: parseUsd('40000') }),
    ],
  )

  const organization = async (slug: string, credits: string) => {
    const made = await createOrganization(operator, slug, slug)
    if (parseUsd(credits) > 0n) {
      await postEntry(operator, {
        organizationId: made.id,
        kind: 'grant',
        amountNanos: parseUsd(credits),
        reference: uuidv7(),
      })
    }
    return made
  }
  const issueKey: World['issueKey'] = (of, alias, limits = [], more = {}) =>
    createVirtualKey(operator, { organizationId: of.id, teamId: of.defaultTeamId, alias, limits, ...more })

  const deploy: World['deploy'] = async (group, baseUrl, { organization } = {}) => {
    const [credential, id] = [uuidv7(), uuidv7()]
    await operator.query(
      `insert into provider_credentials (id, name, provider, base_url, secret) values ($1, $2, 'sandbox', $3, $4)`,
      [credential, credential, baseUrl, seal(masterKey, 'sandbox-secret', credential)],
    )
    await operator.query(
      `with wanted as (
         insert into model_groups (id, organization_id, name) values ($1, $2, $3)
         on conflict (organization_id, name) do update set name = excluded.name returning id)
       insert into deployments (id, organization_id, group_id, model_id, credential_id, upstream_model)
       select $4, $2, id, 'sandbox/sandbox-chat', $5, 'sandbox-chat' from wanted`,
      [uuidv7(), organization?.id ?? null, group, id, credential],
    )
    return id
  }

  const acme = await organization('acme', '5')
  const rival = await organization('rival', '5')
  return {
    database,
    sandbox,
    masterKey,
    journalFolder,
    acme,
    rival,
    researcher: await issueKey(acme, 'researcher'),
    writer: await issueKey(acme, 'writer'),
    rivalKey: await issueKey(rival, 'rival'),
    issueKey,
    deploy,
    organization,
    async close() {
      await sandbox.close()
      await database.close()
      await rm(journalFolder, { recursive: true, force: true })
    },
  }
}
