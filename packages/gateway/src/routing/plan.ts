import type { Endpoint } from '@nemo/domain/catalogue'
import type { GroupOverride, Strategy } from '@nemo/domain/routing-settings'
import type { Deployment, ModelGroup } from '../snapshot/catalogue.ts'

/** Why a deployment can't serve a request, whatever its state. `tags` and `needs` are followed by what is missing, `unpriced` by the field that asks for what the price says nothing of. */
export type Exclusion =
  | 'endpoint'
  | 'price'
  | 'dropped'
  | 'context'
  | 'max-cost'
  | `tags:${string}`
  | `needs:${string}`
  | `unpriced:${string}`

export interface Candidate {
  readonly deployment: Deployment
  readonly weight: number
  readonly excluded: Exclusion | null
}

/** A group of the chain as a request sees it. */
export interface PlannedLink {
  readonly group: ModelGroup
  readonly strategy: Strategy
  readonly candidates: readonly Candidate[]
}

export interface Needs {
  readonly endpoint: Endpoint
  /** What the caller wants the model to have; all of it. */
  readonly tags: readonly string[]
  /** What the request itself can't do without, as capability tags. */
  readonly capabilities: readonly string[]
  /** The least that the input comes to. */
  readonly inputTokensLeast: number
}

/** Says of every deployment of a group whether it can serve the request, and if not why. Pure. */
export function filter(group: ModelGroup, needs: Needs, override: GroupOverride = {}): Candidate[] {
  return group.deployments.map((deployment) => ({
    deployment,
    weight: named(override.weights, deployment) ?? deployment.weight,
    excluded: exclusionOf(deployment, needs, override),
  }))
}

function exclusionOf(deployment: Deployment, needs: Needs, { drop }: GroupOverride): Exclusion | null {
  const { model, price } = deployment
  if (model.endpoint !== needs.endpoint) return 'endpoint'
  if (price === null) return 'price'
  if (drop?.some((name) => isNamed(name, deployment))) return 'dropped'
  const missing = needs.tags.filter((tag) => !model.capabilities.includes(tag))
  if (missing.length > 0) return `tags:${missing.join(',')}`
  // Of a model without any tags nothing is known.
  const lacking =
    model.capabilities.length === 0 ? [] : needs.capabilities.filter((one) => !model.capabilities.includes(one))
  if (lacking.length > 0) return `needs:${lacking.join(',')}`
  if (model.contextTokens !== null && needs.inputTokensLeast > model.contextTokens) return 'context'
  return null
}

/**
 * Takes back that deployments lack what the request needs where no deployment of any link has it: tags follow models' names, and the provider knows better. Those that the caller
 * asked for are never taken back.
 */
export function relent(links: readonly PlannedLink[]): readonly PlannedLink[] {
  const lacks = ({ excluded }: Candidate) => excluded?.startsWith('needs:') === true
  const serves = ({ excluded }: Candidate) => excluded === null
  if (links.some(({ candidates }) => candidates.some(serves))) return links
  return links.map((link) => ({
    ...link,
    candidates: link.candidates.map((one) => (lacks(one) ? { ...one, excluded: null } : one)),
  }))
}

function named(by: Readonly<Record<string, number>> | undefined, deployment: Deployment): number | null {
  if (!by) return null
  return by[deployment.id] ?? by[`${deployment.model.provider}/${deployment.upstreamModel}`] ?? null
}

function isNamed(name: string, { id, model, upstreamModel }: Deployment): boolean {
  return name === id || name === `${model.provider}/${upstreamModel}`
}
