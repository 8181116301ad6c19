import type { Endpoint } from '@nemo/domain/catalogue'
import type { Price } from '@nemo/domain/pricing'
import { seal } from '@nemo/domain/vault'
import { saveProvider } from '@nemo/postgres/catalogue'
import { CHAT_PRICE, type World } from './world.ts'

/** A credential of any provider in the world's database, with one model in a group of its own. Answers with the group's name. */
export async function deployProvider(
  world: World,
  wanted: {
    readonly provider: string
    readonly baseUrl: string
    readonly secret?: string
    readonly settings?: Readonly<Record<string, string>>
    readonly upstreamModel?: string
    readonly group?: string
    readonly endpoint?: Endpoint
    readonly outputTokensMax?: number
    readonly price?: Price['nanosPerMillion']
  },
): Promise<string> {
  const { provider, baseUrl, settings = {}, endpoint = 'chat', upstreamModel = 'sandbox-chat' } = wanted
  const group = wanted.group ?? `${provider}-${endpoint}`
  const secret = seal(world.masterKey, wanted.secret ?? 'sandbox-secret', group)
  await saveProvider(world.database.operator, { name: group, provider, baseUrl, settings, secret }, [
    {
      id: `${provider}/${group}`,
      provider,
      endpoint,
      contextTokens: 128_000,
      outputTokensMax: endpoint === 'chat' ? (wanted.outputTokensMax ?? 4_096) : null,
      capabilities: ['function-calling', 'vision', 'json-schema', 'reasoning'],
      group,
      upstreamModel,
      nanosPerMillion: wanted.price ?? CHAT_PRICE,
      priceSource: 'test',
    },
  ])
  return group
}
