import type { Endpoint } from '@nemo/domain/catalogue'
import type { Deployment } from '../snapshot/catalogue.ts'

export type Strategy = 'simple-shuffle'

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

/**
 * The order in which deployments are tried: a shuffle in which each is first with a chance in proportion to its weight.
 * `draw` gives numbers in [0, 1).
 */
export function shuffle(deployments: readonly Deployment[], draw: () => number): Deployment[] {
  const left = [...deployments]
  const order: Deployment[] = []
  while (left.length > 1) {
    const total = left.reduce((sum, deployment) => sum + deployment.weight, 0)
    let point = draw() * total
    let chosen = 0
    while (chosen < left.length - 1 && point >= left[chosen]!.weight) point -= left[chosen++]!.weight
    order.push(...left.splice(chosen, 1))
  }
  return order.concat(left)
}

/**
 * The same order, but what has no headroom left at its provider comes last: it may still be better than nothing. `loadOf` says what was sent there in the last
 * 60 seconds.
 */
export function headroomFirst(
  order: readonly Deployment[],
  loadOf: (id: string) => { requests: number; tokens: number },
): Deployment[] {
  const isBusy = ({ id, requestsPerMinute, tokensPerMinute }: Deployment) => {
    if (requestsPerMinute === null && tokensPerMinute === null) return false
    const { requests, tokens } = loadOf(id)
    return (
      (requestsPerMinute !== null && requests >= requestsPerMinute) ||
      (tokensPerMinute !== null && tokens >= tokensPerMinute)
    )
  }
  const busy = order.filter(isBusy)
  return busy.length === 0 ? [...order] : [...order.filter((deployment) => !busy.includes(deployment)), ...busy]
}

function exclusionOf({ model, price }: Deployment, needs: Needs): Exclusion | null {
  if (model.endpoint !== needs.endpoint) return 'endpoint'
  if (price === null) return 'price'
  if (!needs.tags.every((tag) => model.capabilities.includes(tag))) return 'tags'
  return null
}
