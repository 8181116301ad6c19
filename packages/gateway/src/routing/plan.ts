import type { Endpoint } from '@nemo/domain/catalogue'
import type { Deployment } from '../snapshot/catalogue.ts'

/** Why a deployment can't serve a request. */
export type Exclusion = 'endpoint' | 'price' | 'tags'

export interface Candidate {
  readonly deployment: Deployment
  readonly excluded: Exclusion | null
}

export interface Needs {
  readonly endpoint: Endpoint
  readonly tags: readonly string[]
}

/** Says of every deployment whether it can serve the request, and if not why. Pure. */
export function filter(deployments: readonly Deployment[], needs: Needs): Candidate[] {
  return deployments.map((deployment) => ({ deployment, excluded: exclusionOf(deployment, needs) }))
}

function exclusionOf({ model, price }: Deployment, needs: Needs): Exclusion | null {
  if (model.endpoint !== needs.endpoint) return 'endpoint'
  if (price === null) return 'price'
  if (!needs.tags.every((tag) => model.capabilities.includes(tag))) return 'tags'
  return null
}
