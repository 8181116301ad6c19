/**
 * What a Claude model understands, as far as its name tells: https://platform.claude.com/docs/en/about-claude/models/overview and the pages named below.
 * A name that says nothing (an inference profile's ARN, a model of somebody's own that speaks this dialect) is taken for able: the provider says what it thinks of it.
 */
export interface ClaudeModel {
  /**
   * How it can be made to think: with a budget in tokens, by itself with an effort, either way, or not at all
   * (https://platform.claude.com/docs/en/build-with-claude/extended-thinking and …/adaptive-thinking).
   */
  readonly thinking: 'manual' | 'both' | 'adaptive' | 'none' | 'unknown'
  /** How it is told not to: by saying nothing, by saying so, by the least that it can, or not at all (…/models/opus-5-5/whats-new-opus-5-5, …/models/sonnet-5-5/migration-guide). */
  readonly withoutThinking: 'omitted' | 'disabled' | 'between_tools' | null
  /** The effort above `high`, where it has one (https://platform.claude.com/docs/en/build-with-claude/effort). */
  readonly topEffort: 'xhigh' | 'max' | null
  /** Whether it takes `temperature`, `top_p` and `top_k`: from Opus 4.7 on they are refused. */
  readonly isSampled: boolean
  /** Whether it can be made to call a tool: not from Opus and Sonnet 5.5 and Fable 5.1 on (…/models/opus-5-5/whats-new-opus-5-5, …/models/sonnet-5-5/whats-new-sonnet-5-5). */
  readonly isForced: boolean
  /** Whether it can be held to a JSON schema (https://platform.claude.com/docs/en/build-with-claude/structured-outputs). */
  readonly takesSchema: boolean
  /** Whether system messages may stand amid a conversation (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages). */
  readonly takesSystemTurns: boolean
}

/** Reads `claude-opus-4-6`, `anthropic.claude-sonnet-4-5-20250929-v1:0`, `us.anthropic.claude-opus-5`, `claude-3-7-sonnet@20250219` and the like. */
export function claudeModel(name: string): ClaudeModel {
  if (name.includes('claude-mythos-preview')) return { ...ofVersion('mythos', 4.7), takesSystemTurns: false }
  const newer = /claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/.exec(name)
  if (newer) return ofVersion(newer[1]!, Number(`${newer[2]}.${newer[3] ?? 0}`))
  const older = /claude-(\d)(?:[-.](\d))?-(opus|sonnet|haiku)/.exec(name)
  if (older) return ofVersion(older[3]!, Number(`${older[1]}.${older[2] ?? 0}`))
  return /claude-(instant|v?[12])/.test(name) ? ofVersion('', 2) : UNKNOWN
}

const UNKNOWN: ClaudeModel = {
  thinking: 'unknown',
  withoutThinking: 'disabled',
  topEffort: 'xhigh',
  isSampled: true,
  isForced: true,
  takesSchema: true,
  takesSystemTurns: false,
}

function ofVersion(family: string, version: number): ClaudeModel {
  return {
    thinking: version < 3.7 ? 'none' : version < 4.6 ? 'manual' : version < 4.7 ? 'both' : 'adaptive',
    withoutThinking: howNotToThink(family, version),
    topEffort: version >= 4.7 ? 'xhigh' : version >= 4.6 ? 'max' : null,
    isSampled: version < 4.7,
    isForced: family === 'haiku' || version < (family === 'fable' || family === 'mythos' ? 5.1 : 5.5),
    takesSchema: version >= 4.5,
    takesSystemTurns: version >= 4.8,
  }
}

/** Thinking is off unless asked for before version 5; then it is on unless it can be put off. */
function howNotToThink(family: string, version: number): ClaudeModel['withoutThinking'] {
  if (family === 'fable' || family === 'mythos') return null
  if (version < 5) return 'omitted'
  if (version < 5.5 || family === 'haiku') return 'disabled'
  return family === 'sonnet' ? 'between_tools' : null
}
