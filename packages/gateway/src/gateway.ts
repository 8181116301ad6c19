import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Limit } from '@nemo/domain/limits'
import type { MasterKeys } from '@nemo/domain/vault'
import { DeploymentLoads } from '@nemo/ledger/deployment-loads'
import { Ledger } from '@nemo/ledger/ledger'
import type { JournalOwner } from '@nemo/ledger/replay'
import { loadCatalogue } from '@nemo/postgres/catalogue'
import { connect } from '@nemo/postgres/connect'
import { findKeptResponse, keepResponse } from '@nemo/postgres/kept-responses'
import { type Listener, listen } from '@nemo/postgres/listen'
import { findConsumerLimits, type VirtualKey } from '@nemo/postgres/virtual-keys'
import type pg from 'pg'
import { AtOnce } from './at-once.ts'
import { HealthBoard } from './health-board.ts'
import { Metrics } from './metrics.ts'
import { providerDesk } from './provider-desk.ts'
import { Conversations } from './routing/conversations.ts'
import type { Fault } from './routing/fault.ts'
import { nameOfFault } from './routing/fault.ts'
import type { Health } from './routing/health.ts'
import { Observed } from './routing/observed.ts'
import type { GatewaySettings } from './settings.ts'
import { buildCatalogue, Catalogue, type Deployment } from './snapshot/catalogue.ts'
import { TenantSnapshot } from './snapshot/tenants.ts'
import { UpstreamPools } from './upstream-pools.ts'

const CATALOGUE_POLL_MS = 60_000
const CATALOGUE_RETRY_MS = 1_000
const LOADS_MS = 3_000
/** An organization may have so many at once; what is beyond is estimated. */
const TOKEN_COUNTS_MAX = 8
/** Reserving and settling take one connection each; the rest are for keys seen for the first time. */
const APP_CONNECTIONS = 8

/** A consumer's name of so many characters is looked up anew each time. */
const CONSUMER_KEPT_MAX = 500

/** Where the gateway says what an operator should know. pino's interface, as far as it is used. */
export interface Log {
  warn(context: object, message: string): void
  error(context: object, message: string): void
}

export interface GatewayOptions {
  readonly databaseUrl: string
  readonly masterKey: MasterKeys
  /** Where charges are written before they are in the database: a folder that outlives the process. */
  readonly journalFolder: string
  readonly journalOwner: JournalOwner
  /** Whether each charge is forced to the disk before its answer ends. */
  readonly journalSync?: boolean
  /** What a collector must present to read /metrics from elsewhere; null lets only this machine read them. */
  readonly metricsToken?: string | null
  readonly settings: GatewaySettings
  readonly log: Log
}

/** The data plane's state: what it knows of the configuration, its half of the ledger, its connections to providers. */
export class Gateway {
  readonly settings: GatewaySettings
  readonly ledger: Ledger
  /** Virtual keys by their hash. */
  readonly keys: TenantSnapshot<VirtualKey>
  /** The limits of consumers, by organization and name. */
  readonly #consumers: TenantSnapshot<{ organizationId: string; limits: readonly Limit[] }>
  readonly upstreams: UpstreamPools
  /** How busy deployments are. */
  readonly loads = new DeploymentLoads()
  /** What this process sees of them. */
  readonly observed = new Observed()
  /** Where conversations have been answered lately. */
  readonly conversations = new Conversations()
  /** Tokens that providers are counting, by organization. */
  readonly tokenCounts = new AtOnce(TOKEN_COUNTS_MAX)
  readonly metrics: Metrics
  /** For who looks after credentials. */
  readonly providers = providerDesk
  /** Calls under way. */
  activeCalls = 0
  catalogue = new Catalogue([])
  readonly #healthBoard: HealthBoard
  readonly #options: GatewayOptions
  readonly #app: pg.Pool
  readonly #operator: pg.Pool
  readonly #listener: Listener
  #reloading: Promise<void> | null = null
  #reloadAgain = false
  #poll: NodeJS.Timeout | undefined
  #sharing: NodeJS.Timeout | undefined

  private constructor(options: GatewayOptions, app: pg.Pool, operator: pg.Pool, ledger: Ledger) {
    this.#options = options
    this.settings = options.settings
    this.upstreams = new UpstreamPools(options.settings.connectTimeoutMs)
    this.#app = app
    this.#operator = operator
    this.ledger = ledger
    this.metrics = new Metrics(ledger, () => this.activeCalls)
    const heard = () => this.#listener.connected
    this.keys = new TenantSnapshot({
      load: (hash) => ledger.findKey(Buffer.from(hash, 'latin1')),
      heard,
      now: Date.now,
    })
    this.#consumers = new TenantSnapshot({ load: (name) => this.#loadConsumer(name), heard, now: Date.now })
    this.#healthBoard = new HealthBoard(
      app,
      () => ledger.processId,
      (message, err) => options.log.warn({ err }, message),
    )
    this.#listener = listen(options.databaseUrl, ['config_changed', 'health'], (channel, what) =>
      channel === 'health' ? this.#healthBoard.hear(what) : this.#configChanged(what),
    )
  }

  /** Connects, settles what died processes left, and loads the catalogue. Throws when the database can't be reached. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const { databaseUrl, journalFolder, journalOwner, journalSync = false, log } = options
    const onError = (error: Error) => log.warn({ err: error }, 'a database connection broke')
    const app = connect(databaseUrl, 'nemo_app', { max: APP_CONNECTIONS, onError })
    const operator = connect(databaseUrl, 'nemo_operator', { max: 2, onError })
    const onWarning = (message: string, err?: unknown) => log.warn({ err }, message)
    try {
      const ledger = await Ledger.start({
        app,
        databaseUrl,
        journalFolder,
        journalOwner,
        journalSync,
        journalBytesMax: options.settings.journalBytesMax,
        onWarning,
      })
      const gateway = new Gateway(options, app, operator, ledger)
      await gateway.#loadCatalogue()
      gateway.#poll = setInterval(() => gateway.#reload(), CATALOGUE_POLL_MS)
      gateway.#poll.unref()
      gateway.#sharing = setInterval(() => void gateway.#shareLoads(), LOADS_MS)
      gateway.#sharing.unref()
      return gateway
    } catch (error) {
      await Promise.allSettled([app.end(), operator.end()])
      throw error
    }
  }

  /** Which deployments are to be left alone for now. */
  get health(): Health {
    return this.#healthBoard.health
  }

  /** What was sent to a deployment in the last 60 seconds, by all processes. */
  readonly loadOf = (deploymentId: string) => this.loads.of(deploymentId, performance.now())

  /** Every limit that binds a call with this key for this consumer. */
  limitsOf(key: VirtualKey, consumer: string | null): readonly Limit[] | Promise<readonly Limit[]> {
    // No stored name has a NUL in it.
    if (consumer === null || !key.hasConsumerLimits || consumer.includes('\0')) return key.limits
    const name = `${key.organizationId} ${consumer}`
    // Callers make names up at will: long ones aren't kept.
    const found = consumer.length > CONSUMER_KEPT_MAX ? this.#loadConsumer(name) : this.#consumers.find(name)
    const join = (known: { limits: readonly Limit[] } | null) => (known ? [...key.limits, ...known.limits] : key.limits)
    return found instanceof Promise ? found.then(join) : join(found)
  }

  /** What is known of an organization's keys and consumers, and of what limits bind them, may be out of date; null: of all. */
  forgetLimits(organizationId: string | null): void {
    this.keys.forget(organizationId)
    this.#consumers.forget(organizationId)
  }

  findKeptResponse(organizationId: string, id: string): Promise<unknown[] | null> {
    return findKeptResponse(this.#app, organizationId, id)
  }

  async keepResponse(organizationId: string, id: string, items: readonly unknown[]): Promise<void> {
    await keepResponse(this.#app, organizationId, id, items).catch((err) =>
      this.#options.log.warn({ err }, 'a response could not be kept'),
    )
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
    clearInterval(this.#sharing)
    await this.#listener.close()
    await this.#healthBoard.close()
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

  /** Whether this request may read the metrics: with the token, or from this machine and not through a proxy on it. */
  mayReadMetrics({ headers, socket }: IncomingMessage): boolean {
    const { metricsToken } = this.#options
    if (metricsToken) return isSame(headers.authorization ?? '', `Bearer ${metricsToken}`)
    const isProxied = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined
    return !isProxied && /^(::1|(::ffff:)?127\.)/.test(socket.remoteAddress ?? '')
  }

  async #shareLoads(): Promise<void> {
    // Advisory: without the others' loads this process's own must do.
    await this.loads.share(this.#app, this.ledger.processId, performance.now()).catch(() => {})
  }

  #configChanged(what: string | null): void {
    const organizationId = what?.startsWith('organization:') ? what.slice('organization:'.length) : null
    if (what === null || organizationId !== null) {
      this.forgetLimits(organizationId)
      this.ledger.forget(organizationId)
    }
    if (what === null || what === 'catalogue') this.#reload()
  }

  async #loadConsumer(name: string): Promise<{ organizationId: string; limits: readonly Limit[] }> {
    const organizationId = name.slice(0, name.indexOf(' '))
    const limits = await findConsumerLimits(this.#app, organizationId, name.slice(organizationId.length + 1))
    return { organizationId, limits }
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

/** Compares secrets in a time that doesn't tell where they differ. */
function isSame(presented: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(presented), digest(expected))
}
