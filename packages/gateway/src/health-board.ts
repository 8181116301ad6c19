import { claimProbe, coolingDeployments, shareDeploymentHealth } from '@nemo/postgres/deployment-health'
import type pg from 'pg'
import { Health, type HealthChange, type HealthState } from './routing/health.ts'

/** Changes of a moment go out together: a provider that dies takes many deployments of many tenants with it. */
const TOGETHER_MS = 50
/** More than this at once is told in the next round. */
const CHANGES_AT_ONCE = 500
/** What can't be told is told again after a while, as long as it is news. */
const AGAIN_MS = 500
const NEWS_MS = 10_000

/** `at` by `performance.now()`. */
type DatedChange = HealthChange & { readonly at: number }

/** How deployments fare, shared by all processes through the database: kept there, so that it outlives them, and notified, so that the others know at once. */
export class HealthBoard {
  readonly health: Health
  readonly #app: Pick<pg.Pool, 'query'>
  readonly #processId: () => string
  readonly #onWarning: (message: string, error: unknown) => void
  /** By organization and deployment: of what changed more than once the last counts. */
  readonly #changes = new Map<string, DatedChange>()
  #timer: NodeJS.Timeout | null = null
  #sharing: Promise<void> = Promise.resolve()
  #restoring: Promise<void> | null = null

  constructor(
    app: Pick<pg.Pool, 'query'>,
    processId: () => string,
    onWarning: (message: string, error: unknown) => void,
  ) {
    this.#app = app
    this.#processId = processId
    this.#onWarning = onWarning
    this.health = new Health({
      publish: (change) => this.#publish(change),
      claimProbe: (organizationId, deploymentId) => claimProbe(app, processId(), { organizationId, deploymentId }),
    })
  }

  /** Hears of a change, or, with null, that one may have been missed. */
  hear(message: string | null): void {
    if (message === null) {
      this.#restoring ??= this.#restore().finally(() => {
        this.#restoring = null
      })
      return
    }
    const { process, ...state } = JSON.parse(message) as HealthState & { process: string }
    if (process !== this.#processId()) this.health.heard(state, performance.now())
  }

  /** Tells what hasn't been told yet. */
  async close(): Promise<void> {
    await this.#restoring
    await this.#share()
    if (this.#timer) clearTimeout(this.#timer)
  }

  #publish(change: HealthChange): void {
    this.#changes.set(keyOf(change), { ...change, at: performance.now() })
    this.#shareIn(TOGETHER_MS)
  }

  #shareIn(ms: number): void {
    this.#timer ??= setTimeout(() => void this.#share(), ms)
  }

  /** One telling after the other, so that what came last is what is kept. */
  #share(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#sharing = this.#sharing.then(() => this.#tell())
    return this.#sharing
  }

  async #tell(): Promise<void> {
    const told = [...this.#changes.values()].slice(0, CHANGES_AT_ONCE)
    if (told.length === 0) return
    for (const change of told) this.#changes.delete(keyOf(change))
    try {
      await shareDeploymentHealth(this.#app, this.#processId(), told.map(asOfNow))
    } catch (error) {
      this.#onWarning('the health of deployments could not be shared', error)
      this.#keepNews(told)
      if (this.#changes.size > 0) this.#shareIn(AGAIN_MS)
      return
    }
    if (this.#changes.size > 0) this.#shareIn(TOGETHER_MS)
  }

  #keepNews(untold: readonly DatedChange[]): void {
    for (const change of untold) {
      const key = keyOf(change)
      if (!this.#changes.has(key) && performance.now() - change.at < NEWS_MS) this.#changes.set(key, change)
    }
  }

  async #restore(): Promise<void> {
    try {
      this.health.restore(await coolingDeployments(this.#app), performance.now())
    } catch (error) {
      this.#onWarning('the health of deployments could not be read', error)
    }
  }
}

function keyOf({ organizationId, deploymentId }: HealthChange): string {
  return `${organizationId} ${deploymentId}`
}

/** A cooldown that began a while ago is told as what is left of it; one that is over is still to be probed. */
function asOfNow({ at, coolingMs, ...change }: DatedChange): HealthChange {
  const left = Math.ceil(coolingMs - (performance.now() - at))
  return { ...change, coolingMs: coolingMs === 0 ? 0 : Math.max(left, 1) }
}
