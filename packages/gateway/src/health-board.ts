import { claimProbe, coolingDeployments, shareDeploymentHealth } from '@nemo/postgres/deployment-health'
import type pg from 'pg'
import { Health, type HealthChange, type HealthState } from './routing/health.ts'

/** Changes of a moment go out together: a provider that dies takes many deployments of many tenants with it. */
const TOGETHER_MS = 50
/** More than this at once is told in the next round. */
const CHANGES_AT_ONCE = 500

/** How deployments fare, shared by all processes through the database: kept there, so that it outlives them, and notified, so that the others know at once. */
export class HealthBoard {
  readonly health: Health
  readonly #app: Pick<pg.Pool, 'query'>
  readonly #processId: () => string
  readonly #onWarning: (message: string, error: unknown) => void
  #changes: HealthChange[] = []
  #timer: NodeJS.Timeout | null = null
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
  }

  #publish(change: HealthChange): void {
    this.#changes.push(change)
    this.#timer ??= setTimeout(() => void this.#share(), TOGETHER_MS)
  }

  /** Of what changed more than once the last counts. What can't be told isn't told: the others will find out by themselves. */
  async #share(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const changes = this.#changes.splice(0, CHANGES_AT_ONCE)
    if (changes.length === 0) return
    const last = new Map(changes.map((change) => [`${change.organizationId} ${change.deploymentId}`, change]))
    await shareDeploymentHealth(this.#app, this.#processId(), [...last.values()]).catch((error) =>
      this.#onWarning('the health of deployments could not be shared', error),
    )
    if (this.#changes.length > 0) this.#timer ??= setTimeout(() => void this.#share(), TOGETHER_MS)
  }

  async #restore(): Promise<void> {
    try {
      this.health.restore(await coolingDeployments(this.#app), performance.now())
    } catch (error) {
      this.#onWarning('the health of deployments could not be read', error)
    }
  }
}
