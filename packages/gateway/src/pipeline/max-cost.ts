import type { Nanos } from '@nemo/domain/money'
import type { PlannedLink } from '../routing/plan.ts'
import type { Deployment } from '../snapshot/catalogue.ts'
import { ceilingAt, type Measure } from './expect.ts'
import { longest, OUTPUT_TOKENS_LEAST } from './fit.ts'

/** Leaves out the deployments that could cost more than the caller allows; of a request without a cap, those where even a short answer could. */
export function withinCost(links: readonly PlannedLink[], measured: Measure, max: Nanos): readonly PlannedLink[] {
  return links.map((link) => ({
    ...link,
    candidates: link.candidates.map((candidate) =>
      candidate.excluded !== null || fits(candidate.deployment, measured, max)
        ? candidate
        : { ...candidate, excluded: 'max-cost' as const },
    ),
  }))
}

function fits(deployment: Deployment, measured: Measure, max: Nanos): boolean {
  const most = measured.outputMax(deployment.model)
  const least = measured.isCapped ? most : Math.min(most, OUTPUT_TOKENS_LEAST * (measured.choices ?? 1))
  return ceilingAt(deployment, measured, least) <= max
}

/** The cap on each choice by which a call costs no more than that; null where it needs none. */
export function capWithin(deployment: Deployment, measured: Measure, max: Nanos): number | null {
  const most = measured.outputMax(deployment.model)
  if (measured.isCapped || ceilingAt(deployment, measured, most) <= max) return null
  return Math.floor(longest(most, (tokens) => ceilingAt(deployment, measured, tokens) <= max) / (measured.choices ?? 1))
}
