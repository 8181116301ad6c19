import { modelSegment } from '../dialect.ts'
import { ANTHROPIC_VERSION, anthropic } from '../dialects/anthropic/dialect.ts'
import { AnthropicStream } from '../dialects/anthropic/watch.ts'
import { EventStreamEvents } from '../event-stream.ts'
import { isObject } from '../fields.ts'
import { withUsesMax } from '../hosted-tools.ts'
import { type Edits, editMembers, elementsOf, valueBytes } from '../json-members.ts'
import type { Wire, WireRequest, WireTarget } from '../wire.ts'
import { betasForCloud } from './anthropic-betas.ts'

/**
 * Anthropic to Anthropic, at home or in a cloud: what changes is what each of them wants said elsewhere than in the body
 * (https://docs.claude.com/en/api/messages, https://docs.claude.com/en/api/claude-on-vertex-ai, https://docs.claude.com/en/api/claude-on-amazon-bedrock).
 */
export function passMessages(request: WireRequest, target: WireTarget): Wire {
  const { path, headers, edits } = placeOf(request, target)
  const all = new Map([...request.edits, ...edits])
  if (target.cap !== null) all.set('max_tokens', String(target.cap))
  const tools = boundedTools(request)
  if (tools !== null) all.set('tools', tools)
  return {
    path,
    headers,
    body: editMembers(request.body, request.members, all),
    readAnswer(bytes, json) {
      const { usage, seen = {}, billedNanos, serviceTier } = anthropic.decodeChat(json)
      return { bytes, usage, seen, billedNanos, serviceTier }
    },
    readError: anthropic.decodeError,
    openStream: () => new AnthropicStream(target.hosting === 'bedrock' ? new EventStreamEvents() : null),
  }
}

/** The tools, where one of them doesn't say how often it may be used: that one with the most said, all others as they came. */
function boundedTools({ fields, body, members, edits }: WireRequest): string | null {
  const { tools } = fields
  if (!Array.isArray(tools)) return null
  const bounded = tools.map((tool) => (isObject(tool) ? withUsesMax(tool) : tool))
  if (bounded.every((tool, i) => tool === tools[i])) return null
  const written = elementsOf(Buffer.from(edits.get('tools') ?? valueBytes(body, members, 'tools')!))
  return `[${bounded.map((tool, i) => (tool === tools[i] ? written[i] : JSON.stringify(tool))).join(',')}]`
}

/** A prompt whose tokens Anthropic is to count (https://platform.claude.com/docs/en/api/messages-count-tokens). */
export function passTokenCount(request: WireRequest, model: string): Wire {
  const { headers, edits } = atHome(request, model)
  return {
    path: '/v1/messages/count_tokens',
    headers,
    body: editMembers(request.body, request.members, new Map([...request.edits, ...edits])),
    readAnswer(bytes, { input_tokens: count }) {
      if (!Number.isSafeInteger(count)) throw new SyntaxError('it has no input_tokens')
      return { bytes, usage: null, billedNanos: null, serviceTier: null }
    },
    readError: anthropic.decodeError,
    openStream: () => new AnthropicStream(null),
  }
}

interface Place {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly edits: Edits
}

function atHome({ headers }: WireRequest, model: string): Place {
  const beta = headers['anthropic-beta']
  return {
    path: '/v1/messages',
    headers: {
      'anthropic-version': headers['anthropic-version'] ?? ANTHROPIC_VERSION,
      ...(beta && { 'anthropic-beta': beta }),
    },
    edits: new Map([['model', JSON.stringify(model)]]),
  }
}

/** The flags of the header, and those that stand in the body, as clouds want them. */
function betasOf({ headers, fields }: WireRequest): readonly string[] {
  const { anthropic_beta: inBody } = fields
  const listed = [headers['anthropic-beta'], inBody].flat().filter((one) => typeof one === 'string')
  return listed.flatMap((flags) => flags.split(','))
}

function placeOf(request: WireRequest, { hosting, model, leftOut }: WireTarget): Place {
  const { streamed } = request
  const betas = () => betasForCloud(betasOf(request), model, leftOut)
  switch (hosting) {
    case 'vertex': {
      const beta = betas().join(',')
      return {
        path: `/publishers/anthropic/models/${modelSegment(model)}:${streamed ? 'streamRawPredict' : 'rawPredict'}`,
        headers: beta ? { 'anthropic-beta': beta } : {},
        edits: new Map([
          ['model', null],
          ['anthropic_beta', null],
          ['anthropic_version', '"vertex-2023-10-16"'],
        ]),
      }
    }
    case 'bedrock': {
      const beta = betas()
      return {
        path: `/model/${modelSegment(model)}/invoke${streamed ? '-with-response-stream' : ''}`,
        headers: {},
        edits: new Map([
          ['model', null],
          ['stream', null],
          ['anthropic_version', '"bedrock-2023-05-31"'],
          ['anthropic_beta', beta.length > 0 ? JSON.stringify(beta) : null],
        ]),
      }
    }
    default:
      return atHome(request, model)
  }
}
