import { readCountTokens, writeTokenCount } from '@nemo/codec/surfaces/messages/count-tokens'
import { messages } from '@nemo/codec/surfaces/messages/messages'
import type { Exchange } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import { authenticate, requireEndpoint } from './pipeline/authenticate.ts'
import { inputTokensOf } from './pipeline/expect.ts'
import { parse } from './pipeline/parse.ts'
import { sendJson } from './render.ts'

/**
 * `POST /v1/messages/count_tokens` (https://platform.claude.com/docs/en/api/messages-count-tokens): about how many tokens a prompt has. It is an upper estimate, made here and for
 * any model, the one that a call is held by; `x-nemo-estimated` says so.
 */
export async function countTokens(gateway: Gateway, exchange: Exchange): Promise<void> {
  exchange.surface = messages
  requireEndpoint(await authenticate(gateway, exchange, Date.now()), 'messages')
  const body = parse(await exchange.body(gateway.settings.bodyBytesMax))
  sendJson(exchange, writeTokenCount(inputTokensOf(readCountTokens(body))), 200, ['x-nemo-estimated', 'true'])
}
