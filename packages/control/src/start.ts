import type { IncomingMessage, ServerResponse } from 'node:http'
import type { MasterKeys } from '@nemo/domain/vault'
import { connect } from '@nemo/postgres/connect'
import { runBilling } from './billing/jobs.ts'
import { openStripe } from './billing/stripe.ts'
import type { Control, ControlLog } from './control.ts'
import type { GatewayBeside } from './gateway-beside.ts'
import { keepHouse } from './housekeeping.ts'
import { makeApp } from './http/app.ts'
import { Passwords } from './identity/passwords.ts'
import { Later } from './later.ts'
import type { Mail } from './mail/mail.ts'
import { Exports } from './organization/exports.ts'
import { Outbound } from './outbound/outbound.ts'
import type { ControlSettings } from './settings.ts'
import { WebhookSender } from './webhooks/sender.ts'

export interface ControlOptions {
  readonly databaseUrl: string
  readonly masterKey: MasterKeys
  readonly mail: Mail
  readonly settings: ControlSettings
  readonly gateway?: GatewayBeside
  readonly log: ControlLog
}

/** The control plane of a process: what isn't the gateway's goes to `handle`. */
export interface RunningControl {
  readonly control: Control
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Where it can be reached, once that is known: links lead there unless NEMO_PUBLIC_URL says otherwise. */
  listensAt(url: string): void
  close(): Promise<void>
}

/** Opens connections of its own, apart from the gateway's, so that neither waits for the other. Listens to nothing itself. */
export async function startControl(options: ControlOptions): Promise<RunningControl> {
  const { databaseUrl, log, settings } = options
  const onError = (err: Error) => log.warn({ err }, 'a database connection of the control plane broke')
  const control: Control = {
    app: connect(databaseUrl, 'nemo_app', { max: 8, onError }),
    operator: connect(databaseUrl, 'nemo_operator', { max: 4, onError }),
    identity: connect(databaseUrl, 'nemo_identity', { max: 4, onError }),
    masterKey: options.masterKey,
    passwords: new Passwords(settings.passwordCost),
    mail: options.mail,
    outbound: new Outbound(settings.outbound),
    exports: new Exports(),
    later: new Later(log),
    stripe: settings.stripe && openStripe(settings.stripe),
    gateway: options.gateway ?? null,
    settings,
    publicUrl: settings.publicUrl ?? 'http://localhost',
    log,
  }
  const app = await makeApp(control)
  const sender = new WebhookSender(control).start()
  const stopBilling = runBilling(control)
  const stopHousekeeping = keepHouse(control)
  return {
    control,
    handle: app.routing,
    listensAt(url) {
      control.publicUrl = settings.publicUrl ?? url
    },
    async close() {
      await app.close()
      stopHousekeeping()
      await sender.stop()
      await stopBilling()
      await control.outbound.close()
      await control.later.settled()
      await control.mail.close()
      await Promise.all([control.app.end(), control.operator.end(), control.identity.end()])
    },
  }
}
