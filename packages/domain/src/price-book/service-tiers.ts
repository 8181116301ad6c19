import type { OfferedModel } from '../catalogue.ts'
import { BY_THE_PIECE, type Rates, type ServiceTiers } from '../pricing.ts'
import { USAGE_CLASSES, type UsageClass } from '../usage.ts'

/** Numerator and denominator: how many times the usual rates. */
type Times = readonly [bigint, bigint]

interface Rule {
  readonly provider: string
  readonly name: RegExp
  readonly times: Readonly<Record<string, Times>>
}

const HALF: Times = [1n, 2n]
const TWICE: Times = [2n, 1n]
const SAME: Times = [1n, 1n]
/** Inference in the United States alone, of models from Opus 4.6 on; it multiplies what else there is. */
const US: Times = [11n, 10n]
const DATED = '(?:-\\d{4}-\\d{2}-\\d{2})?$'

/**
 * What other service tiers cost, in multiples of the usual rates: so it is at the makers whose lists these are, for every class of tokens and every length of input. The first rule that
 * a name fits holds. OpenAI: https://platform.openai.com/docs/pricing (flex) and https://openai.com/api-fast-mode (priority, which is called fast too). Anthropic's fast mode:
 * https://platform.claude.com/docs/en/build-with-claude/fast-mode, and its inference by place: https://platform.claude.com/docs/en/manage-claude/data-residency. Groq:
 * https://console.groq.com/docs/flex-processing. Google: https://ai.google.dev/gemini-api/docs/pricing. Read 2026-11, but for three that could only
 * be had at second hand: priority of o3 and o4-mini, and Google's, of which its documentation says only that it is 75 to 100 percent more.
 */
const RULES: readonly Rule[] = [
  { provider: 'openai', name: /^gpt-4o-2024-05-13$/, times: { priority: [7n, 4n] } },
  openai('gpt-4o-mini', { priority: [5n, 3n] }),
  openai('gpt-4o', { priority: [17n, 10n] }),
  openai('gpt-4\\.1-nano', { priority: TWICE }),
  openai('gpt-4\\.1(?:-mini)?', { priority: [7n, 4n] }),
  openai('o3', { flex: HALF, priority: [7n, 4n] }),
  openai('o4-mini', { flex: HALF, priority: [20n, 11n] }),
  openai('gpt-5-mini', { flex: HALF, priority: [9n, 5n] }),
  openai('gpt-5(?:\\.1)?-codex', { priority: TWICE }),
  openai('gpt-5(?:\\.4)?-nano', { flex: HALF }),
  openai('gpt-5\\.5', { flex: HALF, priority: [5n, 2n] }),
  openai('gpt-5\\.4-mini', { flex: HALF, priority: TWICE }),
  openai('gpt-[56](?:\\.\\d)?(?:-(?:sol|terra|luna))?', { flex: HALF, priority: TWICE }),
  { provider: 'anthropic', name: /^claude-opus-4-6/, times: { fast: [6n, 1n], us: US, 'fast-us': [66n, 10n] } },
  { provider: 'anthropic', name: /^claude-opus-(?:4-8|5|5-5)$/, times: { fast: TWICE, us: US, 'fast-us': [22n, 10n] } },
  { provider: 'anthropic', name: /^claude-[a-z]+-(?:4-[6-9]|[5-9])/, times: { us: US } },
  { provider: 'groq', name: /./, times: { flex: SAME } },
  {
    provider: 'gemini',
    name: /^gemini-(?:2\.5|[3-9](?:\.\d)?)-(?:pro|flash|flash-lite)(?:-preview)?$/,
    times: { flex: HALF, priority: [9n, 5n] },
  },
]

function openai(name: string, times: Rule['times']): Rule {
  return { provider: 'openai', name: new RegExp(`^${name}${DATED}`), times }
}

/** The model with the rates of its other service tiers, where they are known. */
export function withServiceTiers<M extends OfferedModel>(model: M): M {
  const rule = RULES.find(({ provider, name }) => provider === model.provider && name.test(model.upstreamModel))
  if (!rule) return model
  const timed = (rates: Rates): ServiceTiers =>
    Object.fromEntries(Object.entries(rule.times).map(([tier, times]) => [tier, multiplied(rates, times)]))
  const { nanosPerMillion, tiers } = model
  return {
    ...model,
    serviceTiers: timed(nanosPerMillion),
    ...(tiers && { tiers: tiers.map((tier) => ({ ...tier, serviceTiers: timed(tier.nanosPerMillion) })) }),
  }
}

const PIECES = new Set<UsageClass>(BY_THE_PIECE)

function multiplied(rates: Rates, [times, by]: Times): Rates {
  return Object.fromEntries(
    USAGE_CLASSES.flatMap((usageClass) => {
      const nanos = rates[usageClass]
      return nanos === undefined || PIECES.has(usageClass) ? [] : [[usageClass, (nanos * times + by - 1n) / by]]
    }),
  )
}
