import type { Call, Reply } from '../dialect.ts'
import { isObject } from '../json.ts'
import { readContents } from './contents.ts'
import { refused } from './errors.ts'
import { promptTokens } from './generate.ts'
import { checkFields } from './known-fields.ts'

/** https://ai.google.dev/api/tokens#method:-models.counttokens: of contents, or at its maker's of a whole request. */
export function countTokens(model: string, isVertex: boolean, { body }: Call): Reply {
  const { generateContentRequest: whole } = body
  checkFields(body, isVertex ? [...fields, 'systemInstruction', 'tools', 'generationConfig'] : [...fields, request], '')
  if (whole !== undefined && (!isObject(whole) || body.contents !== undefined)) {
    throw refused('Only one of contents and generate_content_request may be set.')
  }
  const asked = isObject(whole) ? whole : body
  if (asked === whole && whole.model !== `models/${model}`) {
    throw refused('* CountTokensRequest.generate_content_request.model: model must match the model of the request\n')
  }
  const totalTokens = promptTokens(asked, { turns: readContents(asked.contents, false, isVertex) })
  const promptTokensDetails = [{ modality: 'TEXT', tokenCount: totalTokens }]
  return { status: 200, content: { json: JSON.stringify({ totalTokens, promptTokensDetails }), tokens: 0 } }
}

const request = 'generateContentRequest'
const fields = ['contents', 'model', 'sandbox']
