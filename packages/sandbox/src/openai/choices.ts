import { hash } from 'node:crypto'
import type { JsonObject } from '../json.ts'
import { randomFrom, seedOf, seedPart } from '../random.ts'
import { schemaInstance } from '../schema-instance.ts'
import type { SandboxConfig } from '../settings.ts'
import { structuredPieces } from '../tokens.ts'
import { words } from '../words.ts'
import type { ChatRequest } from './chat-request.ts'

/** One answer, cut into tokens: each piece is one, and so is the opening of each tool call. */
export type Choice = {
  index: number
  refused: boolean
  pieces: string[]
  toolCalls: ToolCall[]
  finishReason: string
  /** The sequence that ended it, for dialects that tell. */
  stopSequence: string | null
}

export type ToolCall = { id: string; name: string; pieces: string[] }

/** The "model": everything it says follows from the messages and the settings. */
export function composeChoices(request: ChatRequest, settings: SandboxConfig): Choice[] {
  const seed = seedOf(JSON.stringify(request.messages))
  const tokensMax = request.tokensMax - reasoningTokens(request, settings)
  return Array.from({ length: request.choices }, (_, index) => {
    const choice = compose(request, settings, seedPart(seed, index), index)
    cutAtStop(choice, request.stop)
    cutAtLength(choice, tokensMax)
    if (settings.finish_reason !== null) choice.finishReason = settings.finish_reason
    return choice
  })
}

/** Reasoning comes first and shares the limit, so it can leave nothing for the answer. */
export function reasoningTokens(request: ChatRequest, settings: SandboxConfig): number {
  return Math.min(settings.reasoning_tokens, request.tokensMax)
}

export function choiceTokens(choice: Choice): number {
  return choice.toolCalls.reduce((sum, call) => sum + 1 + call.pieces.length, choice.pieces.length)
}

const defaultTokens = 24

function compose(request: ChatRequest, settings: SandboxConfig, seed: number, index: number): Choice {
  const choice: Choice = { index, refused: false, pieces: [], toolCalls: [], finishReason: 'stop', stopSequence: null }
  if (settings.refusal) {
    choice.refused = true
  } else if (request.callable.length > 0 && settings.tool_calls > 0) {
    const count = request.parallelCalls ? settings.tool_calls : 1
    choice.toolCalls = Array.from({ length: count }, (_, call) => toolCall(request.callable, seed, call))
    choice.finishReason = 'tool_calls'
    return choice
  } else if (request.schema !== undefined) {
    choice.pieces = structuredPieces(JSON.stringify(schemaInstance(request.schema, randomFrom(seed))))
    return choice
  }
  // A token beyond the limit is all it takes to see that there was more to say.
  const count = Math.min(settings.tokens ?? defaultTokens, request.tokensMax + 1)
  choice.pieces = words(randomFrom(seed), count, settings.unicode)
  return choice
}

function toolCall(callable: JsonObject[], seed: number, index: number): ToolCall {
  const called = callable[index % callable.length]!
  const random = randomFrom(seedPart(seed, index + 1))
  const given = schemaInstance(called.parameters ?? { type: 'object' }, random)
  const id = `call_${hash('sha1', `${seed} ${index}`, 'hex').slice(0, 24)}`
  return { id, name: String(called.name), pieces: structuredPieces(JSON.stringify(given)) }
}

/** The text ends right before the first stop sequence, which is not part of it. */
function cutAtStop(choice: Choice, stop: string[]): void {
  if (stop.length === 0 || choice.pieces.length === 0) return
  const text = choice.pieces.join('')
  const found = stop.map((sequence) => text.indexOf(sequence)).filter((at) => at >= 0)
  if (found.length === 0) return
  let left = Math.min(...found)
  choice.stopSequence = stop.find((sequence) => text.startsWith(sequence, left)) ?? null
  const kept: string[] = []
  for (const piece of choice.pieces) {
    if (left <= 0) break
    kept.push(piece.slice(0, left))
    left -= piece.length
  }
  choice.pieces = kept
}

function cutAtLength(choice: Choice, tokensMax: number): void {
  if (choiceTokens(choice) <= tokensMax) return
  choice.finishReason = 'length'
  let left = tokensMax
  choice.pieces = choice.pieces.slice(0, left)
  left -= choice.pieces.length
  const kept: ToolCall[] = []
  for (const call of choice.toolCalls) {
    if (left <= 0) break
    kept.push({ ...call, pieces: call.pieces.slice(0, left - 1) })
    left -= call.pieces.length + 1
  }
  choice.toolCalls = kept
}
