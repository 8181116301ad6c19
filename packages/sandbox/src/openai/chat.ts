import { hash } from 'node:crypto'
import type { Call, Reply } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import { readChatRequest } from './chat-request.ts'
import { chatEvents } from './chat-stream.ts'
import { chatUsage } from './chat-usage.ts'
import { type Choice, choiceTokens, composeChoices } from './choices.ts'

/** https://platform.openai.com/docs/api-reference/chat/create */
export function createChatCompletion({ body, bytes, settings }: Call): Reply {
  const request = readChatRequest(body)
  const choices = composeChoices(request, settings)
  const usage = chatUsage(request, choices, settings)
  const id = `chatcmpl-${hash('sha1', bytes, 'hex').slice(0, 29)}`
  if (request.stream && !settings.not_a_stream) {
    return { status: 200, content: { events: chatEvents({ id, request, choices, usage, settings }) } }
  }
  const json = JSON.stringify({
    id,
    object: 'chat.completion',
    created: settings.created,
    model: request.model,
    choices: choices.map((choice) => ({
      index: choice.index,
      message: message(choice),
      logprobs: null,
      finish_reason: choice.finishReason,
    })),
    ...(usage && { usage }),
    service_tier: 'default',
    system_fingerprint: 'fp_sandbox',
  })
  return { status: 200, content: { json, tokens: choices.reduce((sum, choice) => sum + choiceTokens(choice), 0) } }
}

function message(choice: Choice): JsonObject {
  const text = choice.pieces.join('')
  const spoken = choice.toolCalls.length === 0 && !choice.refused
  const made: JsonObject = {
    role: 'assistant',
    content: spoken ? text : null,
    refusal: choice.refused ? text : null,
    annotations: [],
  }
  if (choice.toolCalls.length > 0) {
    made.tool_calls = choice.toolCalls.map(({ id, name, pieces }) => ({
      id,
      type: 'function',
      function: { name, arguments: pieces.join('') },
    }))
  }
  return made
}
