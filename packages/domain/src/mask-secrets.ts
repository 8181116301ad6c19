import type { Json } from './canonical-json.ts'

export const MASK = '[masked]'

/**
 * A copy of a value that may be kept and shown: plain JSON, without anything secret. What is under a name of a secret is masked as a whole, and in any
 * other text whatever looks like one. Bounded: what is nested too deeply, too long or too much is cut, and says so.
 */
export function maskSecrets(value: unknown): Json {
  return masked(value, 0, { left: MEMBERS_MAX })
}

const DEPTH_MAX = 8
const MEMBERS_MAX = 500
const TEXT_MAX = 2_000

function masked(value: unknown, depth: number, budget: { left: number }): Json {
  switch (typeof value) {
    case 'string':
      return maskText(value)
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'boolean':
      return value
    case 'bigint':
      return String(value)
    case 'object':
      break
    default:
      return null
  }
  if (value === null) return null
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  // Hashes, sealed secrets: nobody reads them, and some shouldn't.
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return '[bytes]'
  if (depth >= DEPTH_MAX) return '[nested too deeply]'
  if (value instanceof Map) return masked(Object.fromEntries(value), depth, budget)
  if (Array.isArray(value) || value instanceof Set) {
    const kept: Json[] = []
    for (const one of value) {
      if (budget.left-- <= 0) return [...kept, '[and more]']
      kept.push(masked(one, depth + 1, budget))
    }
    return kept
  }
  const kept: [string, Json][] = []
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined || typeof member === 'function') continue
    if (budget.left-- <= 0) {
      kept.push(['…', '[and more]'])
      break
    }
    kept.push([maskText(name), isSecretName(name) ? maskAll(member) : masked(member, depth + 1, budget)])
  }
  return Object.fromEntries(kept)
}

/** Nothing of the value, but whether there is one. A count (`tokens: 12`) and a switch (`password: true`) aren't secrets. */
function maskAll(value: unknown): Json {
  if (value === null || value === undefined || value === '') return null
  return typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint'
    ? masked(value, 0, { left: 1 })
    : MASK
}

/** Whether the last word of a name, in snake_case, kebab-case or camelCase, is one of a secret: `api_key`, `recoveryCodes`, `Authorization`. */
export function isSecretName(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean)
  const last = words.at(-1)?.replace(/\d+$/, '')
  if (last === undefined) return false
  if (words.at(-2) === 'public' && last.startsWith('key')) return false
  return (
    SECRET_NAMES.has(last) || SECRET_NAMES.has(last.replace(/s$/, '')) || SECRET_PAIRS.has(words.slice(-2).join('_'))
  )
}

const SECRET_NAMES = new Set([
  ...[
    'key',
    'apikey',
    'secret',
    'token',
    'password',
    'passwd',
    'passphrase',
    'pwd',
    'authorization',
    'authentication',
    'cookie',
  ],
  ...[
    'credential',
    'otp',
    'totp',
    'pin',
    'jwt',
    'bearer',
    'signature',
    'assertion',
    'accesskey',
    'secretkey',
    'privatekey',
  ],
])
const SECRET_PAIRS = new Set([
  'recovery_code',
  'recovery_codes',
  'backup_code',
  'backup_codes',
  'code_verifier',
  'private_pem',
])

/** The text with whatever looks like a key, a token or a password masked, and not longer than anyone reads. */
export function maskText(text: string): string {
  let clean = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}… [cut]` : text
  for (const [pattern, replacement] of SECRETS) clean = clean.replace(pattern, replacement)
  return clean.replaceAll('\0', '')
}

/** Those with a prefix that says what they are keep it. Each pattern is linear: no part of one can match what the next does. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, MASK],
  // OpenAI, Anthropic, OpenRouter, ours.
  [/\b(sk|pk|rk)([-_](?:nemo|proj|ant|or|live|test|svcacct|admin)[a-z0-9]*)?[-_][A-Za-z0-9_-]{12,}/g, `$1$2-${MASK}`],
  [
    /\b(whsec_|nemo_[a-z]{1,8}_|nemo_|gsk_|hf_|xai-|r8_|pplx-|fw_|glpat-|npm_|tgp_v1_)[A-Za-z0-9+/=_-]{12,}/g,
    `$1${MASK}`,
  ],
  [/\b(gh[pousr]_|github_pat_|xox[abeoprs]-|ya29\.)[A-Za-z0-9._-]{10,}/g, `$1${MASK}`],
  [/\b(AKIA|ASIA)[A-Z0-9]{16}\b/g, `$1${MASK}`],
  [/\bAIza[A-Za-z0-9_-]{30,}/g, `AIza${MASK}`],
  [/\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*/g, MASK],
  [/\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${MASK}`],
  // The password of a URL, and what a query calls a secret.
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/?#@]{0,200}:)[^\s@/]{1,500}@/gi, `$1${MASK}@`],
  [/([?&#](?:[a-z0-9_-]{0,40}(?:key|token|secret|password|signature|sig)|code)=)[^\s&#]{1,2000}/gi, `$1${MASK}`],
]
