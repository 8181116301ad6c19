import { claudeModel } from '../dialects/anthropic/models.ts'

/**
 * Flags of `anthropic-beta` that only Anthropic's own platform knows, without the day of their version: clouds refuse a request for one of them, though it uses nothing of what it stands for, and
 * coding agents send them with all (https://github.com/anthropics/claude-code/issues/49370, …/30926).
 */
const OF_ANTHROPIC = new Set([
  ...['advisor-tool', 'claude-code', 'code-execution', 'extended-cache-ttl', 'fast-mode', 'files-api', 'mcp-client'],
  ...['mcp-servers', 'oauth', 'output-128k', 'prompt-caching-scope', 'skills', 'token-efficient-tools', 'web-fetch'],
])

/** What clouds call otherwise (https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-search-tool). */
const RENAMED: Readonly<Record<string, string>> = { 'advanced-tool-use-2025-11-20': 'tool-search-tool-2025-10-19' }

/** The flags that a cloud is sent of those that the caller sent. Whoever uses what was left out is told so by the cloud, by the name of the field. */
export function betasForCloud(given: readonly string[], model: string, leftOut: (param: string) => void): string[] {
  const asked = given.flatMap((flag) => flag.trim() || [])
  const kept = asked.filter((flag) => isKnown(flag, model))
  if (kept.length < asked.length) leftOut('anthropic-beta')
  return [...new Set(kept.map((flag) => RENAMED[flag] ?? flag))]
}

/** Models that decide themselves how long they think also think between calls, unasked (https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking). */
function isKnown(flag: string, model: string): boolean {
  const name = flag.replace(/-\d{4}-?\d{2}-?\d{2}$/, '')
  if (name === 'interleaved-thinking') return claudeModel(model).thinking !== 'adaptive'
  return !OF_ANTHROPIC.has(name)
}
