import { findProvider } from '@nemo/codec/providers'
import { parseUsd } from '@nemo/domain/money'
import { STRATEGIES, type Strategy } from '@nemo/domain/routing-settings'
import type { Gateway } from '@nemo/gateway/gateway'
import { linksOf } from '@nemo/gateway/pipeline/links'
import type { ResolvedRequest } from '@nemo/gateway/pipeline/resolve'
import { route } from '@nemo/gateway/pipeline/route'
import { Conversations } from '@nemo/gateway/routing/conversations'
import { writeDecision } from '@nemo/gateway/routing/decision-log'
import { Health } from '@nemo/gateway/routing/health'
import { Observed } from '@nemo/gateway/routing/observed'
import { Catalogue, type Deployment, type ModelGroup } from '@nemo/gateway/snapshot/catalogue'
import { DeploymentLoads } from '@nemo/ledger/deployment-loads'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'

/** What routing costs in CPU: finding the groups of the chain, what of them can serve, how each stands, the decision, and its row of the log. */
const DECISIONS = 20_000
const ROUNDS = 5
const ORGANIZATION = '01900000-0000-7000-8000-000000000001'
const FIRST_GROUP = 'asked-for'

/** As many deployments, in the group that is asked for and in each of the groups of its chain; whether their providers' limits are known. */
const CASES = [
  { groups: [1], limited: false },
  { groups: [1], limited: true },
  { groups: [20], limited: false },
  { groups: [20], limited: true },
  { groups: [10, 5, 5], limited: true },
]

const extras = { tags: ['function-calling'], fallbacks: null, strategy: null }
const needs = {
  endpoint: 'chat',
  tags: extras.tags,
  capabilities: ['function-calling', 'vision'],
  inputTokensLeast: 500,
} as const
const expectation = { inputTokens: 1_000, tokensLikely: 1_400 }

function catalogueOf(groups: readonly number[], limited: boolean): Catalogue {
  const names = groups.map((_, i) => (i === 0 ? FIRST_GROUP : `further-${i}`))
  return new Catalogue(
    groups.map(
      (count, i): ModelGroup => ({
        ...{ name: names[i]!, organizationId: null, createdAt: new Date(0), chain: i === 0 ? names.slice(1) : [] },
        deployments: Array.from({ length: count }, (_, j) => deploymentOf(i * 100 + j, limited)),
      }),
    ),
  )
}

function deploymentOf(n: number, limited: boolean): Deployment {
  const capabilities = ['function-calling', 'json-schema', 'vision', 'reasoning', 'prompt-caching', 'audio-input']
  const provider = findProvider('sandbox')!
  return {
    id: `01900000-0000-7000-8000-${String(n).padStart(12, '0')}`,
    weight: 1 + (n % 3),
    requestsPerMinute: limited ? 10_000 : null,
    tokensPerMinute: limited ? 1_000_000 : null,
    upstreamModel: 'sandbox-chat',
    upstream: { credential: 'c', provider, origin: 'http://127.0.0.1:1', basePath: '', headersFor: () => [] },
    model: {
      ...{ id: `sandbox/${n}`, provider: 'sandbox', endpoint: 'chat', contextTokens: 128_000, outputTokensMax: 4_096 },
      capabilities,
    },
    price: { versionId: 'v', nanosPerMillion: { input: parseUsd('0.15') + BigInt(n), output: parseUsd('0.6') } },
  }
}

/** What of a gateway routing looks at, after some traffic: every deployment has a latency and a load, some are busy, and one in ten is left out. */
function gatewayOf(catalogue: Catalogue): Gateway {
  const now = performance.now()
  const health = new Health({ publish: () => {}, claimProbe: async () => false })
  const observed = new Observed()
  const loads = new DeploymentLoads()
  const all = catalogue.groups.flatMap(({ deployments }) => deployments)
  for (const [i, { id }] of all.entries()) {
    observed.took(id, false, 10 + i, now)
    if (i % 2 === 0) observed.begin(id)
    for (let second = 0; second < 60; second++) loads.add(id, { requests: 1, tokens: 100 }, now + second * 1_000)
    if (i % 10 === 5) {
      health.heard({ organizationId: ORGANIZATION, deploymentId: id, coolingMs: 3_600_000, asked: false }, now)
    }
  }
  const loadOf = (id: string) => loads.of(id, performance.now())
  return { conversations: new Conversations(), observed, health, loadOf } as unknown as Gateway
}

function microsOf(act: () => void): number {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < DECISIONS; i++) act()
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / DECISIONS)
  }
  return least
}

function measure(groups: readonly number[], limited: boolean, strategy: Strategy) {
  const catalogue = catalogueOf(groups, limited)
  const gateway = gatewayOf(catalogue)
  const key = { organizationId: ORGANIZATION, allowedModels: null, strategy, routing: {} } as unknown as VirtualKey
  const find = () => linksOf(catalogue, key, FIRST_GROUP, extras, needs)
  const request = { links: find(), expectation, streamed: false, conversation: 'c' } as unknown as ResolvedRequest
  const decision = route(gateway, key, request)
  return {
    find: microsOf(find),
    decide: microsOf(() => route(gateway, key, request)),
    write: microsOf(() => JSON.stringify(writeDecision(decision))),
  }
}

process.stdout.write(
  '| deployments | limits known | strategy | find and filter | facts and decision | log | µs in all |\n| --- | --- | --- | --: | --: | --: | --: |\n',
)
for (const { groups, limited } of CASES) {
  for (const strategy of STRATEGIES) {
    const { find, decide, write } = measure(groups, limited, strategy)
    const cells = [find, decide, write, find + decide + write].map((micros) => micros.toFixed(1))
    process.stdout.write(`| ${groups.join(' + ')} | ${limited ? 'yes' : 'no'} | ${strategy} | ${cells.join(' | ')} |\n`)
  }
}
