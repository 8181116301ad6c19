import type { AssistantPart, ReasoningBlock, Refusal, TextPart, ToolCall } from '../../chat/request.ts'

/**
 * What came between two thoughts, by turns: so much text, so many calls, so much text, … Chat completions have a list for each kind and no order among them; a thought that says what came before it can go back
 * where it stood.
 */
export class Runs {
  #runs: number[] = []

  /** `length` counts as strings do. */
  text(length: number): void {
    if (this.#runs.length % 2 === 0) this.#runs.push(length)
    else this.#runs[this.#runs.length - 1]! += length
  }

  call(): void {
    if (this.#runs.length === 0) this.#runs.push(0, 1)
    else if (this.#runs.length % 2 === 1) this.#runs.push(1)
    else this.#runs[this.#runs.length - 1]! += 1
  }

  /** What came since the last thought, for a new one. */
  take(): { after?: readonly number[] } {
    if (this.#runs.length === 0) return {}
    const after = this.#runs
    this.#runs = []
    return { after }
  }
}

/** A thought, and the runs before it; none where they aren't known. */
export interface PlacedThought {
  readonly block: ReasoningBlock
  readonly after: readonly number[]
}

export function readRuns(given: unknown): readonly number[] {
  return Array.isArray(given) && given.every((one) => Number.isSafeInteger(one) && one >= 0) ? given : []
}

/** Each thought where it stood; what came behind the last of them is taken to be what was said, then calls. */
export function inOrder(
  thoughts: readonly PlacedThought[],
  said: readonly (TextPart | Refusal)[],
  calls: readonly ToolCall[],
): AssistantPart[] {
  const content: AssistantPart[] = []
  const texts = new Texts(said)
  let called = 0
  for (const { block, after } of thoughts) {
    after.forEach((count, i) => {
      if (i % 2 === 0) texts.take(count, content)
      else for (const end = Math.min(called + count, calls.length); called < end; called++) content.push(calls[called]!)
    })
    content.push(block)
  }
  return [...content, ...texts.rest(), ...calls.slice(called)]
}

/** What was said, from where it was last cut: each part is looked at once for each cut in it. */
class Texts {
  readonly #said: readonly (TextPart | Refusal)[]
  #at = 0
  #offset = 0

  constructor(said: readonly (TextPart | Refusal)[]) {
    this.#said = said
  }

  /** `length` counts as strings do. A refusal ends it early. */
  take(length: number, into: AssistantPart[]): void {
    let left = length
    while (left > 0) {
      const part = this.#said[this.#at]
      if (part?.type !== 'text') return
      const rest = part.text.length - this.#offset
      if (rest > left) {
        into.push({ ...part, text: part.text.slice(this.#offset, this.#offset + left), cache: null })
        this.#offset += left
        return
      }
      into.push(this.#cut(part))
      this.#at++
      this.#offset = 0
      left -= rest
    }
  }

  rest(): (TextPart | Refusal)[] {
    const [first, ...others] = this.#said.slice(this.#at)
    return first === undefined ? [] : [first.type === 'text' ? this.#cut(first) : first, ...others]
  }

  #cut(part: TextPart): TextPart {
    return this.#offset === 0 ? part : { ...part, text: part.text.slice(this.#offset) }
  }
}
