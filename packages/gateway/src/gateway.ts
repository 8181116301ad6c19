import { Ledger } from '@nemo/ledger/ledger'
import { loadCatalogue } from '@nemo/postgres/catalogue'
import { type ConfigListener, listenForConfigChanges } from '@nemo/postgres/config-changes'
import { connect } from '@nemo/postgres/connect'
import { findVirtualKey } from '@nemo/postgres/virtual-keys'
import type pg from 'pg'
import type { Fault } from './routing/fault.ts'
import { nameOfFault } from './routing/fault.ts'
import type { GatewaySettings } from './settings.ts'
import { buildCatalogue, Catalogue, type Deployment } from './snapshot/catalogue.ts'
import { KeySnapshot } from './snapshot/keys.ts'
import { UpstreamPools } from './upstream-pools.ts'

const CATALOGUE_POLL_MS = 60_000
const CATALOGUE_RETRY_MS = 1_000
/** Reserving and settling take one connection each; the rest are for keys seen for the first time. */
const APP_CONNECTIONS = 8

/** Where the gateway says what an operator should know. pino's interface, as far as it is used. */
export interface Log {
  warn(context: object, message: string): void
  error(context: object, message: string): void
}

export interface GatewayOptions {
  readonly databaseUrl: string
  readonly masterKey: Buffer
  readonly settings: GatewaySettings
  readonly log: Log
}

/** The data plane's state: what it knows of the configuration, its half of the ledger, its connections to providers. */
export class Gateway {
  readonly settings: GatewaySettings
  readonly ledger: Ledger
  readonly keys: KeySnapshot
  readonly upstreams = new UpstreamPools()
  catalogue = new Catalogue([])
  readonly #options: GatewayOptions
  readonly #app: pg.Pool
  readonly #operator: pg.Pool
  readonly #listener: ConfigListener
  #reloading: Promise<void> | null = null
  #reloadAgain = false
  #poll: NodeJS.Timeout | undefined

  private constructor(options: GatewayOptions) {
    const { databaseUrl, log } = options
    const onError = (error: Error) => log.warn({ err: error }, 'a database connection broke')
    this.#options = options
    this.settings = options.settings
    this.#app = connect(databaseUrl, 'nemo_app', { max: APP_CONNECTIONS, onError })
    this.#operator = connect(databaseUrl, 'nemo_operator', { max: 2, onError })
    this.ledger = new Ledger(this.#app, { onWarning: (message, err) => log.warn({ err }, message) })
    this.keys = new KeySnapshot({
      load: (digest) => findVirtualKey(this.#app, digest),
      heard: () => this.#listener.connected,
      now: Date.now,
    })
    this.#listener = listenForConfigChanges(databaseUrl, (what) => this.#configChanged(what))
  }

  /** Connects, registers with the ledger and loads the catalogue. Throws when the database can't be reached. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options)
    try {
      await gateway.ledger.start()
      await gateway.#loadCatalogue()
    } catch (error) {
      await gateway.close().catch(() => {})
      throw error
    }
    gateway.#poll = setInterval(() => gateway.#reload(), CATALOGUE_POLL_MS)
    gateway.#poll.unref()
    return gateway
  }

  /** Whether the database answers. */
  async isReady(): Promise<boolean> {
    const answered = this.#app.query('select 1').then(
      () => true,
      () => false,
    )
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, 2_000, false).unref())
    return Promise.race([answered, late])
  }

  /** Settles what is left and lets go of everything. No call may be under way. */
  async close(): Promise<void> {
    clearInterval(this.#poll)
    await this.#listener.close()
    await this.ledger.close()
    await Promise.allSettled([this.#app.end(), this.#operator.end(), this.upstreams.close()])
  }

  /** Our credential was refused, or a deployment isn't there: no tenant can mend that. */
  readonly onOperatorsFault = (deployment: Deployment, fault: Fault): void => {
    const context = {
      credential: deployment.upstream.credential,
      model: deployment.upstreamModel,
      detail: fault.detail,
    }
    this.#options.log.error(context, `a provider refused us with ${nameOfFault(fault)}`)
  }

  /** A failure that nobody foresaw. The caller was told the request id and nothing else. */
  readonly onBug = (requestId: string, error: unknown): void => {
    this.#options.log.error({ requestId, err: error }, 'a request failed inside the gateway')
  }

  #configChanged(what: string | null): void {
    if (what === null) this.keys.forget(null)
    else if (what.startsWith('organization:')) this.keys.forget(what.slice('organization:'.length))
    if (what === null || what === 'catalogue') this.#reload()
  }

  /** One load at a time; a change during a load is followed by another. On failure the old catalogue stays, and it is tried again. */
  #reload(): void {
    if (this.#reloading) {
      this.#reloadAgain = true
      return
    }
    this.#reloading = this.#loadCatalogue()
      .catch((error) => {
        this.#options.log.warn({ err: error }, 'the catalogue could not be loaded; the last one stays in use')
        setTimeout(() => this.#reload(), CATALOGUE_RETRY_MS).unref()
      })
      .finally(() => {
        this.#reloading = null
        if (this.#reloadAgain) {
          this.#reloadAgain = false
          this.#reload()
        }
      })
  }

  async #loadCatalogue(): Promise<void> {
    const stored = await loadCatalogue(this.#operator)
    this.catalogue = buildCatalogue(stored, this.#options.masterKey, (problem) => this.#options.log.error({}, problem))
  }
}
