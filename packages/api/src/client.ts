import type { AnswerOf, InputOf, Route } from './route.ts'
import { ROUTES, type Routes } from './routes.ts'

/** A function for each route: `client.createTeam({ body: { name: 'Research' } })`. */
export type Client = { readonly [K in keyof Routes]: Operation<Routes[K]> }

type Operation<R extends Route> =
  Record<never, never> extends InputOf<R>
    ? (input?: InputOf<R>) => Promise<AnswerOf<R>>
    : (input: InputOf<R>) => Promise<AnswerOf<R>>

export interface ClientOptions {
  /** Where it is, without a slash at the end. In a browser '' is the page's own origin. */
  readonly url: string
  /** A personal token. Without one, a browser sends its session cookie. */
  readonly token?: string
  readonly fetch?: typeof fetch
}

/** What the server refused, as it said it. */
export class RefusedError extends Error {
  readonly status: number
  readonly code: string
  readonly param: string | null
  readonly requestId: string | null
  /** Seconds after which it may go better. */
  readonly retryAfter: number | null

  constructor(answer: Response, error: { message?: string; code?: string; param?: string | null }) {
    super(error.message ?? `The server answered ${answer.status}.`)
    this.name = 'RefusedError'
    this.status = answer.status
    this.code = error.code ?? 'unknown'
    this.param = error.param ?? null
    this.requestId = answer.headers.get('x-nemo-request-id')
    this.retryAfter = Number(answer.headers.get('retry-after')) || null
  }
}

/**
 * A client of the control plane, made from its routes. What is a file is answered as the Response. Throws RefusedError for what was refused, and what
 * fetch throws for what didn't arrive: nothing is tried twice.
 */
export function makeClient(options: ClientOptions): Client {
  return Object.fromEntries(
    Object.entries(ROUTES).map(([name, route]) => [name, (input?: Input) => call(options, route, input ?? {})]),
  ) as unknown as Client
}

interface Input {
  readonly params?: Record<string, unknown>
  readonly query?: Record<string, unknown>
  readonly body?: unknown
}

async function call({ url, token, fetch: send = fetch }: ClientOptions, route: Route, input: Input): Promise<unknown> {
  const path = route.path.replaceAll(/:([a-z_]+)/g, (_, name: string) =>
    encodeURIComponent(String(input.params?.[name])),
  )
  const query = Object.entries(input.query ?? {}).filter(([, value]) => value !== undefined && value !== null)
  const search = new URLSearchParams(query.map(([name, value]): [string, string] => [name, String(value)])).toString()
  const isRaw = route.body === 'raw'
  const answer = await send(`${url}${path}${search && `?${search}`}`, {
    method: route.method,
    credentials: 'same-origin',
    headers: {
      // With a token it needs none, and pages of other origins may send none.
      ...(token === undefined && { 'x-nemo-csrf': '1' }),
      ...(input.body !== undefined && !isRaw && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    ...(input.body !== undefined && {
      body: isRaw ? (input.body as NonNullable<RequestInit['body']>) : JSON.stringify(input.body),
    }),
  })
  if (!answer.ok) throw new RefusedError(answer, await errorOf(answer))
  return typeof route.response === 'string' ? answer : answer.json()
}

/** What stands between may answer with something else than ours. */
async function errorOf(answer: Response): Promise<{ message?: string; code?: string; param?: string | null }> {
  try {
    return ((await answer.json()) as { error?: object }).error ?? {}
  } catch {
    return {}
  }
}
