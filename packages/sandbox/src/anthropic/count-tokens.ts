import type { Call, Reply } from '../dialect.ts'
import { inputTokens } from './input-tokens.ts'
import { checkMessagesBody } from './messages-request.ts'

/** https://platform.claude.com/docs/en/api/messages-count-tokens */
export function countTokens({ body }: Call): Reply {
  checkMessagesBody(body, false)
  return { status: 200, content: { json: JSON.stringify({ input_tokens: inputTokens(body) }), tokens: 0 } }
}
