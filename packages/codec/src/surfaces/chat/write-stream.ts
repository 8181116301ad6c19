import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { AnswerContext, StreamEnd, StreamWriter, SurfaceError } from '../../surface.ts'
import { Runs } from './runs.ts'
import { writeUsage } from './usage.ts'
import { audioId, writeBlock, writeSignature } from './write-answer.ts'

/** https://platform.openai.com/docs/api-reference/chat-streaming: the role first, then deltas, the finish, the usage for who asked, and `[DONE]`. */
export class ChatStreamWriter implements StreamWriter {
  readonly mayBeShortened = true
  readonly #context: AnswerContext
  /** What all chunks begin with; known with the first part. */
  #opening = ''
  readonly #begun = new Set<number>()
  readonly #ended = new Set<number>()
  readonly #spoken = new Set<number>()
  /** What came since the last thought of each choice, and how many thoughts there were. */
  readonly #told = new Map<number, { readonly runs: Runs; thoughts: number }>()

  constructor(context: AnswerContext) {
    this.#context = context
  }

  write(parts: readonly StreamPart[]): string {
    let text = ''
    for (const part of parts) text += this.#part(part)
    return text
  }

  end({ usage, wantsUsage, cost, early }: StreamEnd): string {
    let text = ''
    if (early !== null) {
      for (let choice = 0; choice < this.#context.request.choices; choice++) {
        if (!this.#ended.has(choice)) text += this.#chunk([finishOf(choice, 'length', null)], early)
      }
    }
    if (wantsUsage) text += this.#chunk([], { usage: { ...writeUsage(usage), ...(cost !== null && { cost }) } })
    return `${text}data: [DONE]\n\n`
  }

  fail({ message, type, param, code }: SurfaceError): string {
    return `data: ${JSON.stringify({ error: { message, type, param, code } })}\n\n`
  }

  #part(part: StreamPart): string {
    switch (part.type) {
      case 'start':
        this.#open(part.id, part.model, part.createdAt)
        return this.#delta(0, {})
      case 'text':
        this.#toldOf(part.choice).runs.text(part.text.length)
        return this.#delta(part.choice, { content: part.text })
      case 'refusal':
        return this.#delta(part.choice, { refusal: part.text })
      case 'reasoning': {
        const { text, signature, encrypted, id = null } = part
        const block = { ...writeBlock({ text, signature, encrypted, id }, part.block), ...this.#placeOf(part) }
        return this.#delta(part.choice, {
          ...(text !== null && text !== '' && { reasoning_content: text }),
          reasoning_details: [block],
        })
      }
      case 'audio':
        return this.#audio(part)
      case 'tool-call': {
        this.#toldOf(part.choice).runs.call()
        const called = { index: part.call, id: part.id, type: 'function', function: { name: part.name, arguments: '' } }
        return this.#delta(part.choice, { tool_calls: [{ ...called, ...writeSignature(part.signature) }] })
      }
      case 'arguments':
        return this.#delta(part.choice, { tool_calls: [{ index: part.call, function: { arguments: part.json } }] })
      case 'logprobs':
        return (
          this.#begin(part.choice) +
          this.#chunk([{ index: part.choice, delta: {}, logprobs: part.logprobs, finish_reason: null }])
        )
      case 'annotations':
        return this.#delta(part.choice, { annotations: part.annotations })
      case 'finish':
        this.#ended.add(part.choice)
        return this.#begin(part.choice) + this.#chunk([finishOf(part.choice, part.reason, part.stopSequence)])
      // Told at the end, with the cost, to who asked; and errors are told by whoever ends the stream.
      case 'usage':
      case 'error':
        return ''
    }
  }

  #toldOf(choice: number): { readonly runs: Runs; thoughts: number } {
    const told = this.#told.get(choice) ?? { runs: new Runs(), thoughts: 0 }
    this.#told.set(choice, told)
    return told
  }

  /** Told with the first piece of a thought. */
  #placeOf({ choice, block }: { readonly choice: number; readonly block: number }): JsonObject {
    const told = this.#toldOf(choice)
    if (block < told.thoughts) return {}
    told.thoughts = block + 1
    return told.runs.take()
  }

  #open(id: string | null, model: string | null, createdAt: number | null): void {
    const head = {
      id: id ?? `chatcmpl-${this.#context.id}`,
      object: 'chat.completion.chunk',
      created: createdAt ?? this.#context.createdAt,
      model: model ?? this.#context.model,
    }
    this.#opening = `data: ${JSON.stringify(head).slice(0, -1)},"choices":`
  }

  #delta(choice: number, delta: JsonObject): string {
    const begun = this.#begin(choice)
    for (const _ in delta) return begun + this.#chunk([{ index: choice, delta, finish_reason: null }])
    return begun
  }

  /** The first piece of each choice says what it is called. */
  #audio({ choice, id, data, transcript, expiresAt }: Extract<StreamPart, { type: 'audio' }>): string {
    const name = id ?? (this.#spoken.has(choice) ? null : audioId(choice))
    this.#spoken.add(choice)
    return this.#delta(choice, {
      audio: {
        ...(name !== null && { id: name }),
        ...(data !== null && { data }),
        ...(transcript !== null && { transcript }),
        ...(expiresAt !== null && { expires_at: expiresAt }),
      },
    })
  }

  /** The first chunk of each choice says who speaks. */
  #begin(choice: number): string {
    if (this.#begun.has(choice)) return ''
    this.#begun.add(choice)
    return this.#chunk([{ index: choice, delta: { role: 'assistant', content: '' }, finish_reason: null }])
  }

  #chunk(choices: readonly JsonObject[], more: JsonObject | null = null): string {
    if (this.#opening === '') this.#open(null, null, null)
    const rest = more === null ? '' : `,${JSON.stringify(more).slice(1, -1)}`
    return `${this.#opening}${JSON.stringify(choices)}${rest}}\n\n`
  }
}

function finishOf(index: number, reason: string, stopSequence: string | null): JsonObject {
  return { index, delta: {}, finish_reason: reason, ...(stopSequence !== null && { stop_sequence: stopSequence }) }
}
