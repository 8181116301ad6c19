import { invalidRequest } from '@nemo/domain/errors'
import { isObject } from '../fields.ts'
import type { ChatRequest, ContentPart, JsonObject } from './request.ts'

/**
 * What only a provider that speaks the caller's API can make anything of: what its own tools did before, kinds that came after this was written. It gets the caller's bytes; to anyone else it can't be
 * put.
 */
export interface Untranslatable {
  /** Where it stands in the caller's request. */
  readonly param: string
  /** As in “nothing like …”. */
  readonly what: string
  /** It is read as part of the prompt, as it stands. */
  readonly raw: unknown
  /** The pictures and files in it, which `raw` is without: they aren't read by their bytes. */
  readonly media: readonly ContentPart[]
}

/** The name of a kind is the caller's, and is told in an error. */
const WHAT_LENGTH_MAX = 200

/** Takes note of what can't be translated, while a request is read. */
export class Untranslated {
  readonly all: Untranslatable[] = []
  readonly #isHosted: (value: JsonObject) => boolean

  /** `isHosted` says whether an object asks for a tool that the provider runs itself. */
  constructor(isHosted: (value: JsonObject) => boolean) {
    this.#isHosted = isHosted
  }

  /** Throws a 400 on tools that may be billed beside the tokens: those in `tools` are held for, these wouldn't be. */
  add(param: string, what: string, raw: unknown, media: readonly ContentPart[] = []): void {
    if (this.#asksForTools(raw)) {
      throw invalidRequest(param, `${param}: tools that the provider runs itself are to be asked for in tools.`)
    }
    this.all.push({ param, what: what.slice(0, WHAT_LENGTH_MAX), raw, media })
  }

  /** The value if it is one of those that are known here; null, and noted, if it is another. Throws a 400 on what is no word at all. */
  known<T extends string>(value: unknown, known: readonly T[], param: string): T | null {
    if (known.includes(value as T)) return value as T
    if (typeof value !== 'string') throw invalidRequest(param, `${param} must be one of ${known.join(', ')}.`)
    this.add(param, `${param} ${JSON.stringify(value)}, only ${known.join(', ')}`, value)
    return null
  }

  #asksForTools(value: unknown): boolean {
    if (Array.isArray(value)) return value.some((one) => this.#asksForTools(one))
    if (!isObject(value)) return false
    return this.#isHosted(value) || Object.values(value).some((one) => this.#asksForTools(one))
  }
}

/** Refuses what can't be translated, each by its name, or has it left out. */
export function refuseUntranslatable(
  { untranslatable = [] }: ChatRequest,
  unsupported: (param: string, why: string) => void,
): void {
  for (const { param, what } of untranslatable) unsupported(param, `This provider has nothing like ${what}.`)
}
