import type { JsonObject } from './json.ts'
import { type Choice, choiceTokens, composeChoices } from './openai/choices.ts'
import { randomFrom, seedOf, seedPart } from './random.ts'
import type { SandboxConfig } from './settings.ts'
import { words } from './words.ts'

/** What a dialect asks of the one "model" that they all have. */
export type Question = {
  model: string
  messages: JsonObject[]
  /** Bounds thoughts and visible tokens together. */
  tokensMax: number
  stop: string[]
  /** The functions an answer calls, in this order, as OpenAI's; empty when it is to be text. */
  callable: JsonObject[]
  parallelCalls: boolean
  /** Set when the text is to be JSON. */
  schema: unknown
  choices: number
  /** `asked` thinks though no setting says how much; `never` doesn't, whatever they say. */
  thinking: 'asked' | 'maybe' | 'never'
}

/** The answer, cut into tokens. */
export type Answer = {
  /** Comes before each of the choices. */
  thoughts: string[]
  choices: Choice[]
}

/** How many thoughts there are where thinking was asked for and no setting says how many. */
const defaultThoughts = 8

/** Says the same of the same messages; a `finish_reason` setting is left to the dialect, whose words it is in. */
export function composeAnswer({ thinking, ...question }: Question, settings: SandboxConfig): Answer {
  const wanted = settings.reasoning_tokens || (thinking === 'asked' ? defaultThoughts : 0)
  const thought = thinking === 'never' ? 0 : Math.min(wanted, question.tokensMax)
  const choices = composeChoices(
    {
      ...question,
      tools: question.callable,
      tokensMax: question.tokensMax - thought,
      stream: false,
      includeUsage: false,
    },
    { ...settings, reasoning_tokens: 0, finish_reason: null },
  )
  const seed = seedPart(seedOf(JSON.stringify(question.messages)), 7919)
  return { thoughts: words(randomFrom(seed), thought, settings.unicode), choices }
}

/** All tokens of an answer, thoughts included. */
export function answerTokens({ thoughts, choices }: Answer): number {
  return choices.reduce((sum, choice) => sum + thoughts.length + choiceTokens(choice), 0)
}

/** A call's arguments; undefined of a call that its cap cut off. */
export function argumentsOf(pieces: string[]): unknown {
  try {
    return JSON.parse(pieces.join(''))
  } catch {
    return undefined
  }
}
