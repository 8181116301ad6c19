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
  const [restSaid, restCalls] = [[...said], [...calls]]
  for (const { block, after } of thoughts) {
    after.forEach((count, i) => {
      content.push(...(i % 2 === 0 ? takeText(restSaid, count) : restCalls.splice(0, count)))
    })
    content.push(block)
  }
  return [...content, ...restSaid, ...restCalls]
}

function takeText(said: (TextPart | Refusal)[], length: number): TextPart[] {
  const taken: TextPart[] = []
  let left = length
  while (left > 0) {
    const [part] = said
    if (part?.type !== 'text') break
    said.shift()
    if (part.text.length > left) {
      taken.push({ ...part, text: part.text.slice(0, left), cache: null })
      said.unshift({ ...part, text: part.text.slice(left) })
    } else taken.push(part)
    left -= part.text.length
  }
  return taken
}
