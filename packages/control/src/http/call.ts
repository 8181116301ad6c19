import type { BodyOf, ParamsOf, QueryOf, ResultOf, Route } from '@nemo/api/route'
import type { Role } from '@nemo/domain/roles'
import type { NewAuditEntry } from '@nemo/postgres/audit'
import type { Transaction } from '@nemo/postgres/tenancy'
import type { Caller } from '@nemo/postgres/who-calls'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Control } from '../control.ts'

/** Who calls. */
export interface Actor {
  readonly userId: string
  readonly email: string
  /** Null for who belongs to no organization. */
  readonly organizationId: string | null
  readonly role: Role | null
  readonly via: 'session' | 'token'
  readonly ip: string
  readonly caller: Caller
}

/** Who calls what an organization has. */
export interface TenantActor extends Actor {
  readonly organizationId: string
  readonly role: Role
}

export type ActorOf<R extends Route> = R['access'] extends 'public'
  ? null
  : R['access'] extends { permission: string }
    ? TenantActor
    : Actor

/** What happened, for the audit log; who did it and whence is known. */
export type Happening = Pick<NewAuditEntry, 'action' | 'subject' | 'before' | 'after'> & {
  /** Where it isn't the actor's own: null for what is no organization's. */
  readonly organizationId?: string | null
}

/** One call of a route, checked: who makes it and with what. */
export interface Call<R extends Route> {
  readonly control: Control
  readonly actor: ActorOf<R>
  readonly params: ParamsOf<R>
  readonly query: QueryOf<R>
  readonly body: BodyOf<R>
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly ip: string
  /** A transaction that sees the caller's organization and nothing else. */
  readonly tenant: ActorOf<R> extends TenantActor ? <T>(act: (tx: Transaction) => Promise<T>) => Promise<T> : never
  /** Writes to the audit log in the transaction of the change: last, as others of the organization wait from there. */
  readonly audit: (tx: Transaction, happening: Happening) => Promise<void>
}

export type Handler<R extends Route> = (call: Call<R>) => Promise<ResultOf<R>>

/** A handler for each of the routes. */
export type Handlers<T extends Record<string, Route>> = { readonly [K in keyof T]: Handler<T[K]> }
