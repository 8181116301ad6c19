import type { MasterKeys } from '@nemo/domain/vault'
import type pg from 'pg'
import type Stripe from 'stripe'
import type { GatewayBeside } from './gateway-beside.ts'
import type { Passwords } from './identity/passwords.ts'
import type { Later } from './later.ts'
import type { Mail } from './mail/mail.ts'
import type { Exports } from './organization/exports.ts'
import type { Outbound } from './outbound/outbound.ts'
import type { ControlSettings } from './settings.ts'

/** What handlers work with. */
export interface Control {
  /** Connections of the three roles: tenants', the operator's, and the one that signs people in. */
  readonly app: pg.Pool
  readonly operator: pg.Pool
  readonly identity: pg.Pool
  readonly masterKey: MasterKeys
  readonly passwords: Passwords
  readonly mail: Mail
  /** What calls the URLs that tenants name. Nothing else does. */
  readonly outbound: Outbound
  /** Of organizations, under way. */
  readonly exports: Exports
  /** What goes on after an answer was sent. */
  readonly later: Later
  /** Null where credits come by grants only. */
  readonly stripe: Stripe | null
  /** The data plane of this process, where it has one. */
  readonly gateway: GatewayBeside | null
  readonly settings: ControlSettings
  /** Where people reach it, without a slash at the end: what links in mails begin with. Never taken from a request. */
  publicUrl: string
  readonly log: ControlLog
}

export interface ControlLog {
  info(context: object, message: string): void
  warn(context: object, message: string): void
  error(context: object, message: string): void
}
