/** Anthropic's Messages API, as callers speak it: https://platform.claude.com/docs/en/api/messages */
import { invalidRequest } from '@nemo/domain/errors'
import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import { readInteger } from '../../fields.ts'
import type { Surface } from '../../surface.ts'
import { readMessagesRequest } from './read-request.ts'
import { writeAnswer } from './write-answer.ts'
import { writeError } from './write-error.ts'
import { MessagesStreamWriter } from './write-stream.ts'

export const messages: Surface = {
  name: 'messages',
  readRequest,
  writeAnswer,
  writeStream: (context) => new MessagesStreamWriter(context),
  writeError,
}

function readRequest(body: JsonObject): ChatRequest {
  if (body.max_tokens == null) throw invalidRequest('max_tokens', 'max_tokens: Field required')
  return { ...readMessagesRequest(body), outputMax: readInteger(body, 'max_tokens', 1, 1e9) }
}
