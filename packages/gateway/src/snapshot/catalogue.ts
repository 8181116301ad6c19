import type { Model } from '@nemo/domain/catalogue'
import type { Price } from '@nemo/domain/pricing'
import type { MasterKeys } from '@nemo/domain/vault'
import type { StoredCatalogue } from '@nemo/postgres/catalogue'
import { type Upstream, upstreamOf } from './upstream.ts'

export interface Deployment {
  readonly id: string
  readonly upstream: Upstream
  readonly upstreamModel: string
  readonly weight: number
  /** What the provider allows there in 60 seconds; null where it isn't known. */
  readonly requestsPerMinute: number | null
  readonly tokensPerMinute: number | null
  readonly model: Model
  readonly price: Price | null
}

export interface ModelGroup {
  readonly name: string
  readonly organizationId: string | null
  readonly createdAt: Date
  /** The names of the groups to fall back to. */
  readonly chain: readonly string[]
  readonly deployments: readonly Deployment[]
}

/** What can be called, as routing sees it: immutable, and replaced whole when the catalogue changes. */
export class Catalogue {
  readonly groups: readonly ModelGroup[]
  readonly #shared = new Map<string, ModelGroup>()
  readonly #own = new Map<string, Map<string, ModelGroup>>()

  constructor(groups: readonly ModelGroup[]) {
    this.groups = groups
    for (const group of groups) this.#namesOf(group.organizationId).set(group.name, group)
  }

  /** The group that the organization means by the name: its own before everyone's. Another tenant's is as good as none. */
  find(name: string, organizationId: string): ModelGroup | null {
    return this.#own.get(organizationId)?.get(name) ?? this.#shared.get(name) ?? null
  }

  /** All groups that the organization can call, by name. */
  visibleTo(organizationId: string): ModelGroup[] {
    return this.groups.filter((group) => this.find(group.name, organizationId) === group)
  }

  #namesOf(organizationId: string | null): Map<string, ModelGroup> {
    if (organizationId === null) return this.#shared
    const names = this.#own.get(organizationId) ?? new Map<string, ModelGroup>()
    this.#own.set(organizationId, names)
    return names
  }
}

/** Builds the catalogue from what is stored. A credential that can't be used is told to `onProblem`, and its deployments left out. */
export function buildCatalogue(
  stored: StoredCatalogue,
  masterKey: MasterKeys,
  onProblem: (message: string) => void,
): Catalogue {
  const upstreams = new Map<string, Upstream>()
  for (const credential of stored.credentials) {
    try {
      upstreams.set(credential.id, upstreamOf(credential, masterKey))
    } catch (error) {
      onProblem(`credential ${credential.name}: ${(error as Error).message}`)
    }
  }
  return catalogueOf(stored, (credentialId) => upstreams.get(credentialId) ?? null)
}

/** The same with upstreams from elsewhere; deployments of which there is none are left out. */
export function catalogueOf(
  stored: Pick<StoredCatalogue, 'deployments'>,
  upstreamOf: (credentialId: string) => Upstream | null,
): Catalogue {
  const groups = new Map<string, ModelGroup & { deployments: Deployment[] }>()
  for (const row of stored.deployments) {
    const upstream = upstreamOf(row.credentialId)
    if (!upstream) continue
    const group = groups.get(row.groupId) ?? {
      name: row.group,
      organizationId: row.organizationId,
      createdAt: row.groupCreatedAt,
      chain: row.chain,
      deployments: [],
    }
    groups.set(row.groupId, group)
    const { id, upstreamModel, weight, requestsPerMinute, tokensPerMinute, model, price } = row
    group.deployments.push({ id, upstream, upstreamModel, weight, requestsPerMinute, tokensPerMinute, model, price })
  }
  return new Catalogue([...groups.values()])
}
