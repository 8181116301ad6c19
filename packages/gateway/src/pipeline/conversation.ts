import { hash } from 'node:crypto'
import { type Member, valueBytes } from '@nemo/codec/json-members'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Fields } from './extras.ts'

/** What is shorter no provider caches (1,024 tokens at OpenAI, Anthropic, and Google), so that a conversation is known by its first so many bytes. */
const PREFIX_BYTES = 4_096

/**
 * What tells the conversation that a request goes on with, in one organization and for one model: its session, its cache key, or how it begins. Null for what is too short to be cached, and where
 * the organization doesn't want conversations to stay.
 */
export function conversationOf(
  key: VirtualKey,
  model: string,
  fields: Fields,
  sessionId: string | null,
  body: Buffer,
  members: readonly Member[],
): string | null {
  if (key.routing.sticky === false) return null
  const name = sessionId ?? (typeof fields.prompt_cache_key === 'string' ? fields.prompt_cache_key : null)
  if (name === null && body.length < PREFIX_BYTES) return null
  const what = name === null ? beginningOf(body, members) : `name ${name.slice(0, 200)}`
  return what && `${key.organizationId} ${model} ${what}`
}

function beginningOf(body: Buffer, members: readonly Member[]): string | null {
  const messages = valueBytes(body, members, 'messages') ?? valueBytes(body, members, 'input')
  return messages && messages.length >= PREFIX_BYTES ? hash('md5', messages.subarray(0, PREFIX_BYTES), 'base64') : null
}
