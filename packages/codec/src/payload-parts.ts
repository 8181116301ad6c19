import type { WireEvent } from './dialect.ts'
import type { WireError } from './dialects/openai.ts'
import { OpenAiStream } from './dialects/openai-stream.ts'
import { EventStreamEvents } from './event-stream.ts'
import { isObject } from './fields.ts'
import { SseEvents } from './sse-events.ts'

/** Behind a path of SageMaker's, for an answer in parts (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html). */
export const RESPONSE_STREAM = '-response-stream'

/**
 * A stream of chat completion chunks that comes wrapped in the parts of SageMaker's binary one, cut wherever it pleases the container
 * (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_ResponseStream.html). The caller gets what is in them.
 */
export class PayloadStream extends OpenAiStream {
  readonly #parts = new PayloadParts()

  override push(chunk: Buffer): Buffer {
    const bytes = super.push(this.#parts.push(chunk))
    if (!this.done) this.error ??= this.#parts.error
    return bytes
  }
}

/** The server-sent events in such parts, for a stream that is to be translated. A failure is told as OpenAI's dialect has it. */
export class PayloadEvents {
  readonly #parts = new PayloadParts()
  readonly #sse = new SseEvents()

  push(bytes: Uint8Array): WireEvent[] {
    const events = this.#sse.push(this.#parts.push(bytes))
    const { error } = this.#parts
    return error === null ? events : [...events, { type: null, data: JSON.stringify({ error }) }]
  }

  end(): WireEvent[] {
    return this.#sse.end()
  }
}

class PayloadParts {
  /** How the stream failed. What comes after is nobody's. */
  error: WireError | null = null
  readonly #messages = new EventStreamEvents('latin1')

  push(chunk: Uint8Array): Buffer {
    let bytes = ''
    for (const { type, data } of this.#messages.push(chunk)) {
      if (this.error) break
      if (type === 'PayloadPart') bytes += data
      else if (type?.startsWith('exception:'))
        this.error = { message: reasonIn(data), param: null, code: type.slice(10) }
    }
    return Buffer.from(bytes, 'latin1')
  }
}

/** AWS writes `message` in either case. */
function reasonIn(data: string): string {
  try {
    const said: unknown = JSON.parse(Buffer.from(data, 'latin1').toString())
    const message = isObject(said) ? (said.Message ?? said.message) : null
    if (typeof message === 'string') return message
  } catch {
    // It is told by its name then.
  }
  return 'the provider gave no reason'
}
