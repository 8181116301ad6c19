import type { Endpoint, OfferedModel } from '@nemo/domain/catalogue'
import { parseUsd } from '@nemo/domain/money'
import { type MasterKeys, seal } from '@nemo/domain/vault'
import { removeProvider, saveProvider } from '@nemo/postgres/catalogue'
import { startSandbox } from '@nemo/sandbox/sandbox'
import type pg from 'pg'
import { SANDBOX } from '../stored-secrets.ts'
import type { Teardown } from './teardown.ts'

/** Brings up the sandbox in this process, and deploys its models where it listens this time. */
export async function useSandbox(
  operator: pg.Pool,
  masterKey: MasterKeys,
  port: number,
  teardown: Teardown,
): Promise<void> {
  const sandbox = await startSandbox({ port })
  teardown.add('the sandbox', () => sandbox.close())
  const secret = seal(masterKey, 'sandbox', SANDBOX)
  await saveProvider(operator, { name: SANDBOX, provider: SANDBOX, baseUrl: sandbox.url, secret }, SANDBOX_MODELS)
}

/** Removes what an earlier start deployed on a sandbox that doesn't run any more. */
export async function leaveSandbox(operator: pg.Pool): Promise<void> {
  await removeProvider(operator, SANDBOX)
}

/** Priced like a real provider's small models, so that credits and limits can be tried out. */
const SANDBOX_MODELS: readonly OfferedModel[] = [
  offered('sandbox-chat', 'chat', {
    input: parseUsd('0.15'),
    cachedInput: parseUsd('0.075'),
    output: parseUsd('0.6'),
  }),
  offered('sandbox-embeddings', 'embeddings', { input: parseUsd('0.02') }),
  // Four cents an image.
  offered('sandbox-images', 'images', { image: parseUsd('40000') }),
]

function offered(name: string, endpoint: Endpoint, nanosPerMillion: OfferedModel['nanosPerMillion']): OfferedModel {
  return {
    id: `${SANDBOX}/${name}`,
    provider: SANDBOX,
    endpoint,
    contextTokens: endpoint === 'images' ? null : 128_000,
    outputTokensMax: endpoint === 'chat' ? 4_096 : null,
    capabilities: endpoint === 'chat' ? ['function-calling', 'json-schema', 'vision'] : [],
    group: name,
    upstreamModel: name,
    nanosPerMillion,
    priceSource: 'sandbox',
  }
}
