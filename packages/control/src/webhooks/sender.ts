import { uuidv7 } from '@nemo/domain/ids'
import { type MasterKeys, unseal } from '@nemo/domain/vault'
import { FAILING_MAX_MS, retryAfterMsOf, waitBeforeNextTry } from '@nemo/domain/webhook-schedule'
import { webhookHeaders, webhookIdOf } from '@nemo/domain/webhook-signature'
import { appendAudit } from '@nemo/postgres/audit'
import { inTransaction } from '@nemo/postgres/tenancy'
import { addressesOfAdmins } from '@nemo/postgres/tenant-keys'
import {
  type AttemptOutcome,
  announceLimitEvents,
  claimDeliveries,
  type DueDelivery,
  forgetOldEvents,
  recordAttempt,
} from '@nemo/postgres/webhooks'
import type pg from 'pg'
import type { Mail } from '../mail/mail.ts'
import { type Outbound, type OutboundAnswer, OutboundFailure } from '../outbound/outbound.ts'
import { switchedOffLetter } from './letter.ts'

export interface SenderOptions {
  readonly operator: pg.Pool
  readonly outbound: Outbound
  readonly masterKey: MasterKeys
  readonly mail: Pick<Mail, 'send'>
  readonly publicUrl: string
  readonly log: { warn(context: object, message: string): void }
  /** Between looks into the outbox. */
  readonly intervalMs?: number
  readonly chance?: () => number
}

/** What a secret of an endpoint is sealed for. */
export function secretContext(endpointId: string): string {
  return `webhook ${endpointId}`
}

const INTERVAL_MS = 1_000
const FORGET_MS = 3_600_000
const TIMEOUT_MS = 15_000
/** Longer than a try may take, with the writing of what came of it. */
const LEASE_MS = 60_000
const PATIENCE_MS = 2_000
const AT_ONCE_MAX = 50
const PER_ENDPOINT_MAX = 10
const RESPONSE_BYTES_MAX = 1_024

/**
 * Sends what is in the outbox, beside any number of other processes that do the same: what one has taken no other takes. `stop` waits
 * for the tries under way, but not for long; one that it cuts off is made again once its lease has passed.
 */
export class WebhookSender {
  readonly #options: SenderOptions
  /** With the endpoint that each goes to. */
  readonly #underWay = new Map<Promise<void>, string>()
  readonly #abort = new AbortController()
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  #forgotAt = 0

  constructor(options: SenderOptions) {
    this.#options = options
  }

  start(): this {
    const look = async () => {
      try {
        await this.#look()
      } catch (err) {
        this.#options.log.warn({ err }, 'the outbox of webhooks could not be read')
      }
      if (!this.#stopped)
        this.#timer = setTimeout(() => (this.#looking = look()), this.#options.intervalMs ?? INTERVAL_MS).unref()
    }
    this.#looking = look()
    return this
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const impatient = setTimeout(() => this.#abort.abort(), PATIENCE_MS)
    await this.#looking
    await this.settled()
    clearTimeout(impatient)
  }

  /** When nothing is under way. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.keys())
  }

  async #look(): Promise<void> {
    await announceLimitEvents(this.#options.operator)
    while (!this.#stopped && (await this.sendDue()) > 0);
    if (Date.now() - this.#forgotAt < FORGET_MS) return
    this.#forgotAt = Date.now()
    while (!this.#stopped && (await forgetOldEvents(this.#options.operator)) > 0);
  }

  /** Takes what is due, as much as there is room for, and begins to send it. Answers with how many it took. */
  async sendDue(): Promise<number> {
    const room = AT_ONCE_MAX - this.#underWay.size
    if (room <= 0) return 0
    const due = await claimDeliveries(this.#options.operator, {
      max: room,
      perEndpoint: PER_ENDPOINT_MAX,
      busyEndpoints: this.#busyEndpoints(),
      leaseMs: LEASE_MS,
    })
    for (const delivery of due) {
      const sending: Promise<void> = this.#send(delivery)
        // The lease passes, and it is tried again.
        .catch((err) =>
          this.#options.log.warn({ err, delivery: delivery.id }, 'what came of a webhook could not be written'),
        )
        .finally(() => this.#underWay.delete(sending))
      this.#underWay.set(sending, delivery.endpointId)
    }
    return due.length
  }

  /** Those that answer slowly get no more, so that there is room for others. */
  #busyEndpoints(): string[] {
    const counts = new Map<string, number>()
    for (const id of this.#underWay.values()) counts.set(id, (counts.get(id) ?? 0) + 1)
    return [...counts].filter(([, count]) => count >= PER_ENDPOINT_MAX).map(([id]) => id)
  }

  async #send(delivery: DueDelivery): Promise<void> {
    const begun = performance.now()
    const answer = await this.#post(delivery)
    if (this.#abort.signal.aborted && answer instanceof Error) return
    const durationMs = Math.round(performance.now() - begun)
    const attempt =
      answer instanceof Error
        ? { status: null, error: answer.message.slice(0, 500), response: null }
        : { status: answer.status, error: null, response: textOf(answer.body) }
    const outcome = outcomeOf(answer, delivery.tries, this.#options.chance?.() ?? Math.random())
    const told = await inTransaction(this.#options.operator, async (tx) => {
      const off = await recordAttempt(tx, delivery, { id: uuidv7(), durationMs, ...attempt }, outcome)
      if (off === null) return null
      await appendAudit(tx, {
        organizationId: delivery.organizationId,
        actor: { kind: 'system', id: null, label: 'webhooks' },
        address: null,
        action: 'webhook.disabled',
        subject: { type: 'webhook', id: delivery.endpointId, label: delivery.url },
        before: { enabled: true },
        after: { enabled: false, disabled_because: off },
      })
      return { off, addresses: await addressesOfAdmins(tx, delivery.organizationId) }
    })
    const { mail, publicUrl } = this.#options
    for (const to of told?.addresses ?? []) mail.send(switchedOffLetter(to, publicUrl, delivery.url, told!.off))
  }

  /** The answer, or why there is none. */
  async #post({ endpointId, eventId, url, body, sealedSecrets }: DueDelivery): Promise<OutboundAnswer | Error> {
    const { outbound, masterKey } = this.#options
    try {
      const secrets = sealedSecrets.map((sealed) => unseal(masterKey, sealed, secretContext(endpointId)))
      return await outbound.request({
        url,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'Nemo-Router-Webhooks',
          ...webhookHeaders(webhookIdOf(eventId), new Date(), body, secrets),
        },
        body,
        timeoutMs: TIMEOUT_MS,
        bytesMax: RESPONSE_BYTES_MAX,
        signal: this.#abort.signal,
      })
    } catch (error) {
      if (error instanceof OutboundFailure) return error
      this.#options.log.warn({ err: error, endpoint: endpointId }, 'a webhook could not be sent')
      return new Error('something failed on our side')
    }
  }
}

/** Delivered is what is answered with 2xx, and nothing else: a redirect isn't followed, 410 says never to come again. */
function outcomeOf(answer: OutboundAnswer | Error, tries: number, chance: number): AttemptOutcome {
  const isAnswer = !(answer instanceof Error)
  const delivered = isAnswer && answer.status >= 200 && answer.status <= 299
  const retryAfterMs = isAnswer ? retryAfterMsOf(answer.headers['retry-after'], Date.now()) : 0
  return {
    delivered,
    nextTryMs: delivered ? null : waitBeforeNextTry(tries, chance, retryAfterMs),
    gone: isAnswer && answer.status === 410,
    failingMaxMs: FAILING_MAX_MS,
  }
}

/** As text that a database takes. */
function textOf(bytes: Buffer): string {
  return bytes.toString('utf8').replaceAll('\0', '\ufffd')
}
