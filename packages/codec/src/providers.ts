import type { Provider } from './provider.ts'
import { CLOUDS } from './providers/clouds.ts'
import { GATEWAYS } from './providers/gateways.ts'
import { HOSTS } from './providers/hosts.ts'
import { MAKERS } from './providers/makers.ts'
import { OWN_SERVERS } from './providers/own-servers.ts'

/** Every provider, makers of models first. */
export const PROVIDERS: readonly Provider[] = [...MAKERS, ...CLOUDS, ...HOSTS, ...GATEWAYS, ...OWN_SERVERS]

const byName = new Map(PROVIDERS.map((provider) => [provider.name, provider]))

export function findProvider(name: string): Provider | null {
  return byName.get(name) ?? null
}
