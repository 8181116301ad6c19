import { findProvider } from '@nemo/codec/providers'
import { ApiError } from '@nemo/domain/errors'
import { STRATEGIES, type Strategy } from '@nemo/domain/routing-settings'
import { linksOf } from '@nemo/gateway/pipeline/links'
import { decide, type Facts, type Question, scoresOf } from '@nemo/gateway/routing/decide'
import type { PlannedLink } from '@nemo/gateway/routing/plan'
import { able, type Conditions, type Expected, questionOf } from '@nemo/gateway/routing/question'
import { type Catalogue, catalogueOf } from '@nemo/gateway/snapshot/catalogue'
import type { Upstream } from '@nemo/gateway/snapshot/upstream'
import { loadCatalogue, type StoredCredential } from '@nemo/postgres/catalogue'
import {
  findRoutingCaller,
  type RoutingCaller,
  type StoredConditions,
  storedConditions,
} from '@nemo/postgres/routing-conditions'
import { type Command, Option } from 'commander'
import { Failure } from '../failure.ts'
import { withOperator } from '../open-database.ts'
import { print, printJson, printTable } from '../output.ts'
import { type CommonOptions, countOption, examples, namesOf, withCommonOptions } from './options.ts'
import { whichOrganization } from './which-organization.ts'

/** So many decisions are made to say how often each place would be the first. */
const DECISIONS = 10_000

interface ExplainOptions extends CommonOptions {
  model: string
  organization?: string
  key?: string
  tags?: string
  fallbacks?: string
  strategy?: Strategy
  inputTokens: bigint
  outputTokens: bigint
  stream?: boolean
}

export function addRouteCommands(program: Command): void {
  const route = program.command('route').description('Where calls go, and why.')
  withCommonOptions(route.command('explain'))
    .description('Say where a call would go now, and why, without calling anyone.')
    .requiredOption('--model <name>', 'the model group that is asked for')
    .option('--organization <slug>', 'whose call it is; needed where there are several')
    .option('--key <alias>', 'with which key: its models and its tags count')
    .option('--tags <tags>', 'tags that the request asks for, separated by commas')
    .option('--fallbacks <groups>', 'in place of the chain that is configured, separated by commas')
    .addOption(new Option('--strategy <strategy>', 'in place of the organization’s').choices([...STRATEGIES]))
    .addOption(countOption('--input-tokens <n>', 'how long the prompt is', 1_000n))
    .addOption(countOption('--output-tokens <n>', 'how long the answer', 400n))
    .option('--stream', 'for a stream, whose latency is that of its first token')
    .addHelpText(
      'after',
      `${examples('nemo route explain --model gpt-5', 'nemo route explain --model claude-sonnet-4-5 --tags vision --strategy cost-based')}

What is under way and how fast deployments are each process knows of itself; here it is what the log says of the last minute, and nothing is under way.`,
    )
    .action(explain)
}

async function explain(options: ExplainOptions): Promise<void> {
  const { caller, catalogue, conditions } = await withOperator(options, async (operator) => {
    const { id, slug } = await whichOrganization(operator, options.organization)
    const caller = await findRoutingCaller(operator, id, options.key ?? null)
    if (!caller) throw new Failure(`${slug} has no key "${options.key}".`)
    const stored = await loadCatalogue(operator)
    return {
      caller,
      catalogue: catalogueOf(stored, (id) => describedUpstream(stored.credentials.find((one) => one.id === id)!)),
      conditions: await storedConditions(operator, id),
    }
  })
  const expected: Expected = [Number(options.inputTokens), Number(options.outputTokens)]
  const links = planned(catalogue, caller, options)
  const question = questionOf(links, expected, asConditions(conditions, options.stream === true), 1, null)
  const rows = placesOf(links, question, conditions)
  if (options.json) return printJson({ model: options.model, strategy: links[0]!.strategy, expected, candidates: rows })
  print(`${options.model}: ${links[0]!.strategy}, for ${expected[0]} tokens in and ${expected[1]} out`)
  printTable(
    ['GROUP', 'DEPLOYMENT', 'CREDENTIAL', 'FIRST IN', 'SCORE', 'WHY'],
    rows.map(({ group, provider, model, credential, first, score, why }) => [
      group,
      `${provider}/${model}`,
      credential,
      first === null ? '–' : `${(first * 100).toFixed(first > 0 && first < 0.1 ? 1 : 0)} %`,
      score === null ? '–' : String(Math.round(score * 1_000) / 1_000),
      why,
    ]),
  )
}

/** A credential to be named, and not to be called: explaining needs no secret. */
function describedUpstream({ name, provider }: StoredCredential): Upstream | null {
  const known = findProvider(provider)
  if (!known) return null
  const headersFor = () => {
    throw new Error('this is only described')
  }
  return { credential: name, provider: known, origin: '', basePath: '', hide: (text) => text, headersFor }
}

function planned(catalogue: Catalogue, caller: RoutingCaller, options: ExplainOptions): readonly PlannedLink[] {
  const { model, tags, fallbacks, strategy, inputTokens } = options
  try {
    return linksOf(
      catalogue,
      caller,
      model,
      { strategy: strategy ?? null, fallbacks: fallbacks === undefined ? null : namesOf(fallbacks) },
      {
        endpoint: catalogue.find(model, caller.organizationId)?.deployments[0]?.model.endpoint ?? 'chat',
        tags: [...new Set([...caller.defaultTags, ...namesOf(tags ?? '')])],
        capabilities: [],
        inputTokensLeast: Number(inputTokens),
      },
    )
  } catch (error) {
    throw error instanceof ApiError ? new Failure(error.message) : error
  }
}

function asConditions(known: ReadonlyMap<string, StoredConditions>, isStream: boolean): Conditions {
  return {
    inFlight: () => 0,
    loadOf: (id) => known.get(id) ?? { requests: 0, tokens: 0 },
    latencyMs: (id) => known.get(id)?.[isStream ? 'streamMs' : 'tokenMs'] ?? null,
    coolingOf: (id) => known.get(id)?.cooling ?? null,
  }
}

interface ExplainedPlace {
  readonly group: string
  readonly provider: string
  readonly model: string
  readonly deployment: string
  readonly credential: string
  /** The part of all decisions in which it is first in its group; null where it isn't tried at all. */
  readonly first: number | null
  readonly score: number | null
  readonly why: string
}

function placesOf(
  links: readonly PlannedLink[],
  question: Question,
  conditions: ReadonlyMap<string, StoredConditions>,
): ExplainedPlace[] {
  const firsts = firstsOf(question)
  return links.flatMap(({ group, strategy, candidates }, link) => {
    const { facts } = question.links[link]!
    // Of a draw nothing is left in a score: what explores does so now and then only.
    const scores = scoresOf(strategy, facts, () => 0.5)
    const served = able(candidates)
    return candidates.map((candidate) => {
      const { deployment, excluded } = candidate
      const at = served.indexOf(candidate)
      return {
        group: group.name,
        provider: deployment.model.provider,
        model: deployment.upstreamModel,
        deployment: deployment.id,
        credential: deployment.upstream.credential,
        first: at < 0 ? null : (firsts[link]![at] ?? 0),
        score: at < 0 ? null : scores[at]!,
        why: excluded ?? whyOf(facts[at]!, conditions.get(deployment.id)?.fault ?? null),
      }
    })
  })
}

/** How often each place of a link is tried before the others of it. */
function firstsOf(question: Question): number[][] {
  const counts = question.links.map(({ facts }) => facts.map(() => 0))
  for (let seed = 0; seed < DECISIONS; seed++) {
    const seen = new Set<number>()
    for (const { link, at, lastResort } of decide({ ...question, seed: Math.imul(seed, 0x9e3779b1) >>> 0 })) {
      if (lastResort || seen.has(link)) continue
      seen.add(link)
      counts[link]![at]!++
    }
  }
  return counts.map((link) => link.map((count) => count / DECISIONS))
}

function whyOf({ cooling, requests, requestsMax, tokens, tokensMax }: Facts, fault: string | null): string {
  if (cooling) {
    const seconds = Math.ceil(cooling.ms / 1000)
    const whose = cooling.by === 'platform' ? 'for everyone' : 'for this organization'
    const how = cooling.asked ? 'left alone as the provider asked' : 'left out, a last resort'
    return `${how}, ${whose}, for ${seconds} s more${fault ? `: ${fault}` : ''}`
  }
  const used = [
    requestsMax === null ? null : `${requests} of ${requestsMax} requests a minute`,
    tokensMax === null ? null : `${tokens} of ${tokensMax} tokens a minute`,
  ]
  return used.filter(Boolean).join(', ') || 'can serve'
}
