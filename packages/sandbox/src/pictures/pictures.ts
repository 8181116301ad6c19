import type { Endpoint, Reply } from '../dialect.ts'
import { seedOf } from '../random.ts'
import { Refusal } from '../refusal.ts'

export function letIn(given: string | undefined, scheme: 'Key' | 'Bearer', apiKey: string | undefined): void {
  const [, key] = new RegExp(`^${scheme} (.+)$`).exec(given ?? '') ?? []
  if (key === undefined) throw new Refusal(401, 'missing authorization header')
  if (apiKey !== undefined && key !== apiKey) throw new Refusal(401, 'Incorrect API key provided')
}

export function posted(
  method: string,
  path: string,
  wanted: RegExp,
  make: (body: Record<string, unknown>, origin: string) => object,
): Endpoint {
  if (method !== 'POST' || !wanted.test(path)) throw new Refusal(404, `Path ${path} not found`)
  return {
    takesBody: true,
    answer: ({ body, origin }) => ({ status: 200, content: { json: JSON.stringify(make(body, origin)), tokens: 0 } }),
  }
}

/** A colour for each. */
export function pictures(prompt: unknown, count: unknown): string[] {
  if (typeof prompt !== 'string' || prompt === '') throw new Refusal(422, 'field required: prompt')
  return Array.from({ length: Number(count ?? 1) }, (_, i) =>
    (seedOf(`${prompt} ${i}`) & 0xffffff).toString(16).padStart(6, '0'),
  )
}

export function reply(status: number, body: object): Reply {
  return { status, content: { json: JSON.stringify(body), tokens: 0 } }
}
