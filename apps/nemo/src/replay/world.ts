import type { Price } from '@nemo/domain/pricing'
import type { StoredDeployment } from '@nemo/postgres/catalogue'
import type { PriceVersion } from '@nemo/postgres/price-history'
import type { DeploymentName } from '@nemo/postgres/replay-logs'
import type { World } from './comparison.ts'
import type { GivenPrices } from './given-prices.ts'
import type { Measures } from './measures.ts'

interface Known {
  readonly measures: Measures
  readonly names: readonly DeploymentName[]
  readonly history: readonly PriceVersion[]
  readonly given: GivenPrices
  /** Today's, for the groups of a chain. */
  readonly deployments: readonly StoredDeployment[]
}

/** What deployments are called; those that are gone as their attempts say. */
export type Names = (deploymentId: string) => {
  readonly provider: string | null
  readonly model: string | null
  readonly modelId: string | null
}

/** The world as the database and the log tell it. */
export function worldOf({ measures, names, history, given, deployments }: Known): { world: World; named: Names } {
  const models = modelsOf(measures, names, history)
  const versions = listsBy(history, ({ modelId }) => modelId)
  const groups = listsBy(deployments, ({ group }) => group)
  const givenFor = (deploymentId: string) => given.get(models.get(deploymentId) ?? '') ?? null
  const today = new Map(names.map((one) => [one.id, one]))
  const world: World = {
    pace: (deploymentId, pace) => measures.pace(deploymentId, pace),
    failureRate: (deploymentId, at) => measures.failureRate(deploymentId, at),
    isRepriced: (deploymentId) => givenFor(deploymentId) !== null,
    priceOf: (deploymentId, at) =>
      givenFor(deploymentId) ?? priceThen(versions.get(models.get(deploymentId) ?? '') ?? [], at),
    placesOf(name, { organizationId, endpoint, inputTokens, startedAt }) {
      const group = groups.get(name) ?? []
      const own = group.filter((one) => one.organizationId === organizationId)
      const seen = own.length > 0 ? own : group.filter((one) => one.organizationId === null)
      if (seen.length === 0) return null
      return seen.filter(({ id, model }) => {
        const fits = model.contextTokens === null || (inputTokens ?? 0) <= model.contextTokens
        return model.endpoint === endpoint && fits && world.priceOf(id, startedAt) !== null
      })
    },
  }
  return {
    world,
    named(id) {
      const { provider, model } = today.get(id) ?? measures.names.get(id) ?? { provider: null, model: null }
      return { provider, model, modelId: models.get(id) ?? null }
    },
  }
}

function listsBy<T>(all: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const lists = new Map<string, T[]>()
  for (const one of all) {
    const list = lists.get(keyOf(one))
    if (list) list.push(one)
    else lists.set(keyOf(one), [one])
  }
  return lists
}

/** The model of each deployment; of those that are gone, as their charges say. */
function modelsOf(
  { priceVersions }: Measures,
  names: readonly DeploymentName[],
  history: readonly PriceVersion[],
): Map<string, string> {
  const models = new Map<string, string>()
  const modelOfVersion = new Map(history.map(({ modelId, price }) => [price.versionId, modelId]))
  for (const [deploymentId, versionId] of priceVersions) {
    const modelId = modelOfVersion.get(versionId)
    if (modelId) models.set(deploymentId, modelId)
  }
  for (const { id, modelId } of names) models.set(id, modelId)
  return models
}

/** The latest that held by then. What was called before its model had a price is priced at the first that it got. */
function priceThen(versions: readonly PriceVersion[], at: Date): Price | null {
  return (versions.findLast(({ effectiveAt }) => effectiveAt <= at) ?? versions[0])?.price ?? null
}
