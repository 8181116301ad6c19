import { ApiError, invalidRequest, modelNotFound } from '@nemo/domain/errors'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import { type Candidate, filter, type Needs, type PlannedLink, relent } from '../routing/plan.ts'
import type { Catalogue, ModelGroup } from '../snapshot/catalogue.ts'
import type { Extras } from './extras.ts'

/** What of a key says where its calls may go. */
export type Caller = Pick<VirtualKey, 'organizationId' | 'allowedModels' | 'strategy' | 'routing'>

/**
 * The group that is asked for and those of its chain, with what of each can serve the request. Throws the 404 that a model gets which doesn't exist, or isn't the caller's to use; of groups that
 * the caller names to fall back to as well. A chain that was configured passes over such.
 */
export function linksOf(
  catalogue: Catalogue,
  key: Caller,
  model: string,
  extras: Pick<Extras, 'fallbacks' | 'strategy'>,
  needs: Needs,
): readonly PlannedLink[] {
  const group = findAllowed(catalogue, key, model)
  if (!group) throw modelNotFound(model)
  const groups = [group]
  const chain = extras.fallbacks ?? key.routing.groups?.[model]?.chain ?? group.chain
  chain.forEach((name, i) => {
    const next = findAllowed(catalogue, key, name)
    if (next && !groups.includes(next)) groups.push(next)
    else if (!next && extras.fallbacks) throw fallbackNotFound(name, i)
  })
  const links = groups.map((group) => {
    const override = key.routing.groups?.[group.name]
    return {
      group,
      strategy: extras.strategy ?? override?.strategy ?? key.strategy,
      candidates: filter(group, needs, override),
    }
  })
  return relent(links)
}

function findAllowed(catalogue: Catalogue, key: Caller, name: string): ModelGroup | null {
  if (key.allowedModels && !key.allowedModels.includes(name)) return null
  return catalogue.find(name, key.organizationId)
}

function fallbackNotFound(name: string, i: number): ApiError {
  const { status, code, message } = modelNotFound(name)
  return new ApiError(status, code, message, { param: `nemo_fallbacks[${i}]` })
}

/** What the caller is told when no deployment of any link can serve the request: the reason that is nearest to being none. */
export function nothingFits(model: string, links: readonly PlannedLink[], tags: readonly string[]): ApiError {
  const candidates = links.flatMap((link) => link.candidates)
  const has = (reason: string) => candidates.some(({ excluded }) => excluded === reason)
  if (has('context')) {
    return new ApiError(
      400,
      'context_length_exceeded',
      `The input is longer than any deployment of '${model}' takes.`,
      {
        param: 'messages',
      },
    )
  }
  if (has('max-cost')) {
    return new ApiError(
      400,
      'max_cost_exceeded',
      `No deployment of '${model}' is sure to answer for nemo_max_cost. Set a lower max_tokens, or a higher nemo_max_cost.`,
      { param: 'nemo_max_cost' },
    )
  }
  const unpriced = candidates.find(({ excluded }) => excluded?.startsWith('unpriced:'))
  if (unpriced) {
    const param = unpriced.excluded!.slice('unpriced:'.length)
    return new ApiError(
      400,
      'unsupported_parameter',
      `What ${param} asks for is billed beside the tokens of '${model}', or at another rate, and its price doesn't say how: nothing is called that can't be charged exactly.`,
      { param },
    )
  }
  const untagged = candidates.filter(({ excluded }) => excluded?.startsWith('tags:'))
  if (untagged.length > 0) {
    return new ApiError(
      400,
      'tags_not_satisfied',
      `No deployment of '${model}' has every tag of ${JSON.stringify(tags)}: ${untagged.map(whatIsMissing).join('; ')}.`,
      { param: 'nemo_tags', details: { excluded: untagged.map(exclusion) } },
    )
  }
  if (has('price')) {
    return new ApiError(
      400,
      'model_not_priced',
      `The model '${model}' has no price yet, and nothing is called that can't be charged.`,
      { param: 'model' },
    )
  }
  if (has('dropped')) return invalidRequest('model', `Your organization has dropped every deployment of '${model}'.`)
  return invalidRequest('model', `The model '${model}' can't be called through this endpoint.`)
}

function exclusion({ deployment, excluded }: Candidate): object {
  return { deployment: nameOf(deployment), missing: excluded!.slice('tags:'.length).split(',') }
}

function whatIsMissing({ deployment, excluded }: Candidate): string {
  return `${nameOf(deployment)} lacks ${excluded!.slice('tags:'.length).replaceAll(',', ', ')}`
}

function nameOf({ model, upstreamModel }: Candidate['deployment']): string {
  return `${model.provider}/${upstreamModel}`
}
