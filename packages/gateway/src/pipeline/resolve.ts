import { editMembers, type Member, topLevelMembers, valueBytes } from '@nemo/codec/json-members'
import type { Surface } from '@nemo/codec/surface'
import type { WireRequest } from '@nemo/codec/wire'
import type { Endpoint } from '@nemo/domain/catalogue'
import { ApiError, invalidRequest } from '@nemo/domain/errors'
import type { KeyEndpoint } from '@nemo/domain/key-endpoints'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Exchange } from '../exchange.ts'
import type { PlannedLink } from '../routing/plan.ts'
import type { Catalogue, Deployment, ModelGroup } from '../snapshot/catalogue.ts'
import { conversationOf } from './conversation.ts'
import { type Expectation, expect, measure } from './expect.ts'
import { type Extras, type Fields, readExtras, withoutOurs } from './extras.ts'
import { hostedOf, type Unpriced, unpricedOf, withinPrices } from './hosted.ts'
import { linksOf, nothingFits } from './links.ts'
import { capWithin, withinCost } from './max-cost.ts'
import { needsOf } from './needs.ts'
import { refuseOtherNames } from './other-names.ts'
import { parse } from './parse.ts'

/** How much of the estimate of an input, which is the most that it comes to, it comes to for certain. */
const CERTAIN_PART = 0.5

/** What a caller speaks: an endpoint, and the API that it is reached by. */
export interface Api {
  /** What a key is allowed it by. */
  readonly name: KeyEndpoint
  readonly endpoint: Endpoint
  readonly surface: Surface
}

/** A request that has been understood: what is asked, of which models, and what it may take. */
export interface ResolvedRequest extends WireRequest {
  readonly group: ModelGroup
  /** The group, and those of its chain. */
  readonly links: readonly PlannedLink[]
  /** All of them that can serve the request. */
  readonly deployments: readonly Deployment[]
  /** The cap on each choice that `nemo_max_cost` comes to there; null where it needs none. */
  readonly capAt: (deployment: Deployment) => number | null
  /** The fields to leave out there, where the organization wants it so; null where there can be none. */
  readonly unpriced: Unpriced | null
  /** Whether the client asked for the usage chunk. We always do, and keep it from those who didn't. */
  readonly wantsUsage: boolean
  readonly extras: Extras
  readonly expectation: Expectation
  readonly consumer: string | null
  readonly sessionId: string | null
  /** What tells the conversation that it goes on with; null where that is of no account. */
  readonly conversation: string | null
  readonly tags: readonly string[] | null
}

/**
 * Parses the body, checks the few fields that are read, and finds the model group. Throws a 400 whose `param` names the field,
 * or a 404 that is the same for a model that doesn't exist, isn't allowed to this key, or is another organization's.
 */
export function resolve(
  catalogue: Catalogue,
  key: VirtualKey,
  { endpoint, surface }: Api,
  body: Buffer,
  exchange: Pick<Exchange, 'id' | 'startedAt' | 'request'>,
): ResolvedRequest {
  const sent = parse(body)
  const members = membersOf(body)
  refuseDuplicates(members)
  const edits = new Map<string, string | null>()
  const fields = hoist(sent, body, members, edits)
  refuseOtherNames(fields, surface.name)

  const model = readModel(fields)
  const streamed = readFlag(fields, 'stream')
  const extras = readExtras(fields)
  const streamOptions = readObject(fields, 'stream_options')
  if (streamed && endpoint !== 'chat') throw invalidRequest('stream', 'Only chat completions can be streamed.')

  const chat = once(() => surface.readRequest(withoutOurs(fields)))
  const asked = surface.name === 'chat' ? { fields, members } : { chat: chat() }
  const hosted = hostedOf(surface.name, fields)
  const measured = { ...measure(endpoint, asked), hosted }
  const tags = [...new Set([...key.defaultTags, ...extras.tags])]
  const able = linksOf(catalogue, key, model, extras, {
    endpoint,
    tags,
    capabilities: endpoint === 'chat' ? needsOf(asked) : [],
    inputTokensLeast: (measured.input - (measured.thoughts ?? 0)) * CERTAIN_PART,
  })
  const { maxCost } = extras
  const unpriced = unpricedOf(fields, hosted, measured.asked?.serviceTier ?? null, maxCost)
  const charged = withinPrices(able, unpriced)
  // Who wants left out what can't be had gets it from where it can, if there is such a place.
  const isLeftOut = unpriced !== null && key.dropsUnsupported && !charged.some(hasPlace)
  const priced = isLeftOut ? able : charged
  const links = maxCost === null ? priced : withinCost(priced, measured, maxCost)
  const deployments = links.flatMap(({ candidates }) =>
    candidates.flatMap(({ deployment, excluded }) => (excluded === null ? [deployment] : [])),
  )
  if (deployments.length === 0) throw nothingFits(model, links, tags)
  const expectation = expect(deployments, measured, maxCost)
  const metadata = readObject(fields, 'metadata')
  const sessionId = typeof metadata?.session_id === 'string' ? metadata.session_id : null
  return {
    id: exchange.id.replaceAll('-', ''),
    createdAt: Math.floor(exchange.startedAt.getTime() / 1000),
    endpoint,
    surface,
    headers: exchange.request.headers as Record<string, string | undefined>,
    fields,
    chat,
    choices: expectation.choices,
    inputTokens: expectation.inputTokens,
    body,
    members,
    edits,
    group: links[0]!.group,
    links,
    deployments,
    capAt: (deployment) => (maxCost === null ? null : capWithin(deployment, measured, maxCost)),
    unpriced: isLeftOut ? unpriced : null,
    streamed,
    mayBeKept: key.keepsResponses,
    wantsUsage: streamOptions?.include_usage === true,
    extras,
    expectation,
    consumer: consumerOf(fields),
    sessionId,
    conversation: conversationOf(key, model, fields, sessionId, body, members),
    tags: Array.isArray(metadata?.tags) ? metadata.tags.filter((tag) => typeof tag === 'string') : null,
  }
}

function hasPlace({ candidates }: PlannedLink): boolean {
  return candidates.some(({ excluded }) => excluded === null)
}

/** Who the caller says that the call is for: `user` in OpenAI's APIs, `metadata.user_id` in Anthropic's. */
function consumerOf(fields: Fields): string | null {
  const user = readText(fields, 'user')
  const id = readObject(fields, 'metadata')?.user_id
  return user ?? (typeof id === 'string' ? id : null)
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

function membersOf(body: Buffer): Member[] {
  try {
    return topLevelMembers(body)
  } catch (error) {
    throw new ApiError(400, 'invalid_request', `In the JSON body of your request ${(error as Error).message}.`)
  }
}

/** Of two fields of one name parsers take different ones, so that we might check the one and the provider obey the other. */
function refuseDuplicates(members: readonly Member[]): void {
  const seen = new Set<string>()
  for (const { key } of members) {
    if (seen.has(key)) throw invalidRequest(key, `The field '${key}' is there twice.`)
    seen.add(key)
  }
}

/**
 * The request's fields, with those of a literal `extra_body` object and of `metadata.nemo_*` brought to the top; what stands there already wins.
 * Notes the edits that take ours out of the bytes, and put those of `extra_body` that aren't ours in.
 */
function hoist(
  sent: Record<string, unknown>,
  body: Buffer,
  members: readonly Member[],
  edits: Map<string, string | null>,
): Fields {
  let fields: Fields = sent
  const extraBody = readObject(sent, 'extra_body')
  if (extraBody) {
    fields = { ...extraBody, ...sent }
    const bytes = valueBytes(body, members, 'extra_body')!
    for (const { key, valueStart, end } of topLevelMembers(bytes)) {
      if (!Object.hasOwn(sent, key)) edits.set(key, bytes.toString('utf8', valueStart, end))
    }
  }
  if (Object.hasOwn(sent, 'extra_body')) edits.set('extra_body', null)
  const metadata = readObject(fields, 'metadata')
  if (metadata) {
    const names = Object.keys(metadata)
    const ours = names.filter((name) => name.startsWith('nemo_'))
    const removed = names.filter(isAttribution)
    if (ours.length > 0) fields = { ...Object.fromEntries(ours.map((name) => [name, metadata[name]])), ...fields }
    if (removed.length === names.length) edits.set('metadata', null)
    else if (removed.length > 0) {
      const bytes = Buffer.from(edits.get('metadata') ?? valueBytes(body, members, 'metadata')!)
      const without = editMembers(bytes, topLevelMembers(bytes), new Map(removed.map((name) => [name, null])))
      edits.set('metadata', without.toString())
    }
  }
  for (const name of Object.keys(fields)) if (name.startsWith('nemo_')) edits.set(name, null)
  return fields
}

/** What of `metadata` is for us: providers allow only strings in it, and these are none of their business. */
function isAttribution(name: string): boolean {
  return name.startsWith('nemo_') || name === 'tags' || name === 'session_id'
}

function readModel(fields: Fields): string {
  const { model } = fields
  if (model === undefined) throw invalidRequest('model', 'You must provide a model parameter.')
  if (typeof model !== 'string' || model === '')
    throw invalidRequest('model', 'model must be a string that is not empty.')
  return model
}

function readFlag(fields: Fields, name: string): boolean {
  const value = fields[name]
  if (value === undefined || value === null) return false
  if (typeof value !== 'boolean') throw invalidRequest(name, `${name} must be a boolean.`)
  return value
}

function readText(fields: Fields, name: string): string | null {
  const value = fields[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'string') throw invalidRequest(name, `${name} must be a string.`)
  return value
}

function readObject(fields: Fields, name: string): Record<string, unknown> | null {
  const value = fields[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'object' || Array.isArray(value)) throw invalidRequest(name, `${name} must be an object.`)
  return value as Record<string, unknown>
}
