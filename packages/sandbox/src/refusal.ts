/** A request that the sandbox refuses on its merits; the dialect decides how it looks on the wire. */
export class Refusal extends Error {
  readonly status: number
  readonly param: string | null
  readonly code: string | null
  readonly headers: Record<string, string>

  constructor(
    status: number,
    message: string,
    more: { param?: string; code?: string; headers?: Record<string, string> } = {},
  ) {
    super(message)
    this.status = status
    this.param = more.param ?? null
    this.code = more.code ?? null
    this.headers = more.headers ?? {}
  }
}
