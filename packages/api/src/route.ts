import type { Permission } from '@nemo/domain/roles'
import type { z } from 'zod'

/** Who may call: anyone; whoever is signed in, with or without an organization; whose role has the permission; the operator. */
export type Access = 'public' | 'session' | 'operator' | { readonly permission: Permission }

export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'

/** A route of the control plane, as data: the server, the OpenAPI document, the client and the tests are made from it. */
export interface Route {
  readonly method: Method
  /** Parameters as `:id`, each named in `params`. */
  readonly path: `/api/${string}`
  readonly access: Access
  /** One line, from the caller's side. */
  readonly summary: string
  readonly description?: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  /** `raw` hands the bytes over as they came: signatures are over bytes. */
  readonly body?: z.ZodType | 'raw'
  /** A body that the schema takes: shown in the reference, and sent by the tests that walk the routes. Needed wherever there is a body. */
  readonly example?: unknown
  /** What is answered with JSON; or the media type of a file; or a redirect. */
  readonly response: z.ZodType | `${'text' | 'application'}/${string}` | 'redirect'
  /** 200 unless it says otherwise. */
  readonly status?: 200 | 201 | 202
  /** Beyond 400, 401, 403, 404, 415, 429 and 500, which follow from the rest: `409 last_owner`. */
  readonly errors?: readonly `${number} ${string}`[]
  /** Calls that one address, and one user, may make of it in a time. Exact over all processes. The rest shares a wide bound per process. */
  readonly limits?: readonly RouteLimit[]
}

export interface RouteLimit {
  /** `address`: who calls; `user`: who is signed in; else a string field of the body, in lower case, as an e-mail address, over all addresses or from each. */
  readonly by: 'address' | 'user' | { readonly field: string; readonly fromEach?: 'address' }
  readonly max: number
  readonly seconds: number
}

/** Says that it is a route, and keeps its type exact. */
export function route<const R extends Route>(spec: R): R {
  return spec
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined
type Sent<S> = S extends z.ZodType ? z.input<S> : undefined

export type ParamsOf<R extends Route> = Parsed<R['params']>
export type QueryOf<R extends Route> = Parsed<R['query']>
export type BodyOf<R extends Route> = R['body'] extends 'raw' ? Uint8Array : Parsed<R['body']>
/** What a handler returns; what the schema doesn't name is left out of the answer. */
export type ResultOf<R extends Route> = R['response'] extends z.ZodType
  ? z.input<R['response']>
  : R['response'] extends 'redirect'
    ? Redirect
    : File
/** What the client answers with. */
export type AnswerOf<R extends Route> = R['response'] extends z.ZodType ? z.output<R['response']> : Response

export interface Redirect {
  readonly location: string
}

export interface File {
  readonly content: string | Uint8Array | AsyncIterable<string | Uint8Array>
  /** Makes browsers save it under this name. */
  readonly filename?: string
}

/** What a call is made with: those of params, query and body that the route has. */
export type InputOf<R extends Route> = Given<'params', Sent<R['params']>> &
  Given<'query', Sent<R['query']>> &
  Given<'body', R['body'] extends 'raw' ? Uint8Array : Sent<R['body']>>

type Given<Name extends string, T> = [T] extends [undefined]
  ? unknown
  : object extends T
    ? { readonly [K in Name]?: T }
    : { readonly [K in Name]: T }
