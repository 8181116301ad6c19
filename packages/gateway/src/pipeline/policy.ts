import type { RoutingSettings } from '@nemo/domain/routing-settings'
import type { BreakerSettings } from '../routing/breaker.ts'
import type { GatewaySettings } from '../settings.ts'
import type { Extras } from './extras.ts'

/** How often and for how long a call is tried: the operator's settings, which an organization may tighten, and a request further. Times in milliseconds. */
export interface CallPolicy {
  readonly retriesMax: number
  readonly totalTimeoutMs: number
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
}

export function callPolicy(operator: GatewaySettings, organization: RoutingSettings, request: Extras): CallPolicy {
  return {
    retriesMax: least(operator.retriesMax, organization.retriesMax, request.maxRetries),
    totalTimeoutMs: least(operator.totalTimeoutMs, organization.totalTimeoutMs, request.timeoutMs),
    firstByteTimeoutMs: least(operator.firstByteTimeoutMs, organization.firstByteTimeoutMs),
    idleTimeoutMs: least(operator.idleTimeoutMs, organization.idleTimeoutMs),
  }
}

/** When a deployment is left out for an organization: as it says itself, or else the operator. */
export function breakerSettings(operator: GatewaySettings, organization: RoutingSettings): BreakerSettings {
  return {
    failuresMax: organization.failuresMax ?? operator.failuresMax,
    failureWindowMs: organization.failureWindowMs ?? operator.failureWindowMs,
    cooldownMs: organization.cooldownMs ?? operator.cooldownMs,
  }
}

function least(most: number, ...others: readonly (number | null | undefined)[]): number {
  return others.reduce<number>((min, other) => (other != null && other < min ? other : min), most)
}
