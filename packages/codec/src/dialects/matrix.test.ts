import { existsSync, rmSync } from 'node:fs'
import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../fixtures/goldens.ts'
import { MATRIX, type MatrixCase, MODELS, OF_OPENAI } from '../../fixtures/matrix.ts'
import { fitNames } from '../chat/tool-names.ts'
import type { DialectName, EncodedRequest, Target } from '../dialect.ts'
import { DIALECTS } from '../dialects.ts'
import { chat } from '../surfaces/chat/chat.ts'
import { messages } from '../surfaces/messages/messages.ts'
import { responses } from '../surfaces/responses/responses.ts'

const SURFACES = { chat, messages, responses }
const NAMES: readonly DialectName[] = ['openai', 'anthropic', 'gemini', 'converse', 'cohere']

describe.each(NAMES)('%s', (dialect) => {
  const { golden, path } = goldensOf(dialect)
  const cases = Object.entries(dialect === 'openai' ? { ...MATRIX, ...OF_OPENAI } : MATRIX)

  test.each(cases)('is asked so, or refuses by its name what it can’t do: %s', (name, given) => {
    const made = outcome(dialect, given)
    const [file, other] = [`${name}.request.json`, `${name}.refused.json`].sort(() => ('param' in made ? -1 : 1)) as [
      string,
      string,
    ]
    if (process.env.GOLDEN === 'write') rmSync(path(other), { force: true })
    expect(made).toEqual(golden(file, made))
    expect(existsSync(path(other)), `${other} tells another story`).toBe(false)
  })
})

/** The request that is made of a case; of one that is refused, the 400, and what is asked instead where the organization lets it pass. */
function outcome(dialect: DialectName, given: MatrixCase): object {
  try {
    return encode(dialect, given, (param, why) => {
      throw new ApiError(400, 'unsupported_parameter', why, { param })
    })
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const dropped: string[] = []
    const { path, body } = encode(dialect, given, (param) => void dropped.push(param))
    return { asked: given.asked, param: error.param, message: error.message, dropped, instead: { path, body } }
  }
}

function encode(
  dialect: DialectName,
  { surface = 'chat', asked, models = {} }: MatrixCase,
  unsupported: Target['unsupported'],
): EncodedRequest {
  const read = SURFACES[surface].readRequest({ model: 'm', ...asked })
  const { request } = fitNames(read, DIALECTS[dialect].toolNames)
  return DIALECTS[dialect].encodeChat(request, {
    model: models[dialect] ?? MODELS[dialect],
    hosting: dialect === 'converse' ? 'bedrock' : 'native',
    outputTokensMax: 64_000,
    unsupported,
  })
}
