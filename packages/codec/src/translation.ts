import { invalidRequest } from '@nemo/domain/errors'
import { hintsOf } from './chat/hints.ts'
import type { ChatRequest, Message } from './chat/request.ts'
import { fitNames, restoreNames, restoringNames } from './chat/tool-names.ts'
import { refuseUntranslatable } from './chat/untranslatable.ts'
import type { Dialect } from './dialect.ts'
import { EventStreamEvents } from './event-stream.ts'
import { PayloadEvents, RESPONSE_STREAM } from './payload-parts.ts'
import { refuse } from './provider.ts'
import { SseEvents } from './sse-events.ts'
import type { Surface } from './surface.ts'
import { type Framing, TranslatedStream } from './translated-stream.ts'
import type { Answer, Wire, WireRequest, WireTarget } from './wire.ts'

/** A chat request from one surface to a dialect that isn't its own: read, written anew, and the answer likewise. */
export function translate(request: WireRequest, target: WireTarget, dialect: Dialect): Wire {
  const read = request.chat()
  refuseUntranslatable(read, target.unsupported)
  refuseSilence(read, request.surface)
  const takesMarks = target.provider.cacheControl
  for (const hint of hintsOf(read)) {
    if (!dialect.heeds.includes(hint) && !(hint === 'cache_control' && takesMarks)) target.leftOut(hint)
  }
  const { request: fitted, originals } = fitNames(read, dialect.toolNames)
  const {
    path,
    body,
    headers = {},
  } = dialect.encodeChat(target.cap === null ? fitted : { ...fitted, outputMax: target.cap }, {
    ...target,
    cacheControl: takesMarks,
    takesThoughts: target.provider.takesThoughts,
  })
  const kept = { ...body }
  for (const refused of target.provider.refuses) {
    if (kept[refused] == null) continue
    refuse(refused, target)
    delete kept[refused]
  }
  const { surface, id, createdAt, fields } = request
  const context = { id, createdAt, model: target.model, request: read, body: fields }
  const isInParts = request.streamed && target.hosting === 'sagemaker'
  return {
    path: isInParts ? path + RESPONSE_STREAM : path,
    headers,
    body: Buffer.from(JSON.stringify(kept)),
    readAnswer(_, json): Answer {
      const answer = restoreNames(dialect.decodeChat(json, target.model), originals)
      const { usage, seen = {}, billedNanos, serviceTier } = answer
      return {
        bytes: Buffer.from(JSON.stringify(surface.writeAnswer(answer, context))),
        usage,
        seen,
        billedNanos,
        serviceTier,
      }
    },
    readError: dialect.decodeError,
    openStream: () =>
      new TranslatedStream(
        isInParts ? new PayloadEvents() : framingOf(target.hosting === 'bedrock' ? 'event-stream' : dialect.framing),
        restoringNames(dialect.decodeStream(read.choices, target.model), originals),
        surface.writeStream(context),
      ),
  }
}

/** What was only thought of, and what was left out, can't be answered. */
function refuseSilence({ messages, untranslatable = [] }: ChatRequest, { name }: Surface): void {
  const parts = (message: Message): readonly { readonly type: string }[] => message.content
  if (messages.some((message) => message.role === 'tool' || parts(message).some(({ type }) => type !== 'reasoning')))
    return
  const place = name === 'responses' ? 'input' : 'messages'
  const param = untranslatable.find((one) => one.param.startsWith(place))?.param ?? place
  throw invalidRequest(param, 'Nothing is said in the request that this provider could answer.')
}

/** Bedrock frames whatever it hosts in its own way. */
export function framingOf(framing: Dialect['framing']): Framing {
  return framing === 'sse' ? new SseEvents() : new EventStreamEvents()
}
