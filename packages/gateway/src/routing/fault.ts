/** How an attempt failed. A fault is a value: what follows from it is decided here, and done by `call`. */
export type Fault =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly detail: string
      /** What the provider's error says of the caller's request, where it is one to be passed on. */
      readonly param: string | null
      readonly code: string | null
      readonly retryAfterMs: number | null
    }
  | {
      readonly kind: 'connect' | 'timeout' | 'reset' | 'cut' | 'malformed' | 'stream_error'
      readonly detail: string
    }

/** What to do after a fault: try again, elsewhere if there is an elsewhere, or tell the caller, whose fault it was. */
export type Verdict = 'retry' | 'tell'

/** The caller's own mistakes would be the same anywhere; everything else, a refusal of our credential included, may go better elsewhere. */
const CALLERS_OWN = new Set([400, 413, 415, 422])

export function verdictOf(fault: Fault): Verdict {
  return fault.kind === 'status' && CALLERS_OWN.has(fault.status) && !isOperatorsFault(fault) ? 'tell' : 'retry'
}

/** Statuses that mean our account or deployment, or something that the request names or says: a file that isn't there, what a provider's moderation refuses (https://openrouter.ai/docs/errors), more than our credit there covers. */
const AMBIGUOUS = new Set([402, 403, 404])

/**
 * Whose a fault is: the caller's; the platform's, whose credential was refused or whose provider can't be reached at all; the platform's or the caller's, which one call can't tell; or else the
 * provider's.
 */
export function blameOf(fault: Fault): 'caller' | 'platform' | 'either' | 'provider' {
  if (verdictOf(fault) === 'tell') return 'caller'
  if (fault.kind === 'connect') return 'platform'
  if (!isOperatorsFault(fault)) return 'provider'
  return fault.kind === 'status' && AMBIGUOUS.has(fault.status) && !saysWhose(fault) ? 'either' : 'platform'
}

/**
 * How providers say that the input is longer than their model takes. OpenAI has a code for it, as have some that speak its dialect; others only say so, each in its own words: fault.test.ts has
 * them, with where they come from.
 */
const TOO_LONG = new RegExp(
  [
    'context[_ -](?:length|window|size|limit)',
    '(?:prompt|input) (?:\\([^)]*\\) )?is too long',
    'too many (?:input |total )?tokens(?!: max tokens)',
    'token count (?:of \\d+ |\\(\\d+\\) )?exceeds',
    'tokens? limit exceeded',
    'exceeded model token limit',
    "exceeds? the (?:model's )?(?:maximum|max)[a-z ]* tokens",
    'maximum (?:allowed input|prompt|model) length',
    'too large for model',
    '(?:range|length) of input length should be',
    '`inputs` (?:tokens \\+ `max_new_tokens` must be|must have less than)',
    'reduce the length of the (?:messages|prompt|input)',
  ].join('|'),
  'i',
)

/** Whether another model, with a larger context, might take the request. */
export function isContextTooLong(fault: Fault): boolean {
  return (
    fault.kind === 'status' &&
    (fault.status === 400 || fault.status === 413 || fault.status === 422) &&
    (fault.code === 'context_length_exceeded' || TOO_LONG.test(fault.detail))
  )
}

const OPERATORS = new Set([401, 402, 403, 404])

/** How providers say, whatever the status, that it is our key or our account: https://platform.openai.com/docs/guides/error-codes */
const OURS = new Set([
  'invalid_api_key',
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'account_deactivated',
])
/** Anthropic has a 400 and no code for it (anthropics/claude-code#66314). It is what the message begins with, since what a caller sent may be repeated further on. */
const OUR_CREDIT = /^Your credit balance is too low\b/

/** Whether the fault is the operator's to mend: our credential was refused, whatever the status, our account is empty, or the deployment isn't there. */
export function isOperatorsFault(fault: Fault): boolean {
  return fault.kind === 'status' && (OPERATORS.has(fault.status) || saysWhose(fault))
}

/** Whether the same place would answer the same again. A 429 that speaks of our account isn't taken for that: to the log it is a 429 like others, after which a place is tried again. */
export function isLasting(fault: Fault): boolean {
  return isOperatorsFault(fault) && fault.kind === 'status' && fault.status !== 429
}

function saysWhose({ code, detail }: Extract<Fault, { kind: 'status' }>): boolean {
  return (code !== null && OURS.has(code)) || OUR_CREDIT.test(detail)
}

/** The word for it in the log and in `x-nemo-attempts`. */
export function nameOfFault(fault: Fault): string {
  return fault.kind === 'status' ? String(fault.status) : fault.kind
}

const BACKOFF_BASE_MS = 100
const BACKOFF_MAX_MS = 5_000

/**
 * How long to wait before the next attempt, in milliseconds. `attempt` is how often its deployment has been tried, and `before` how it failed the last time: one that hasn't been tried is
 * called at once, any other after what it asked for, else after exponential backoff with full jitter. Null when that is longer than
 * the patience left, so that waiting would be in vain.
 */
export function backoffMs(
  attempt: number,
  before: Fault | null,
  patienceMs: number,
  draw: () => number,
): number | null {
  if (before === null) return 0
  const asked = before.kind === 'status' ? before.retryAfterMs : null
  const wait = asked ?? Math.floor(draw() * Math.min(BACKOFF_BASE_MS * 2 ** attempt, BACKOFF_MAX_MS))
  return wait < patienceMs ? wait : null
}

/** `retry-after-ms` and `retry-after` (seconds or a date) in milliseconds; null when there is none that can be read. */
export function readRetryAfter(headers: Record<string, string | string[] | undefined>, now: number): number | null {
  const milliseconds = readNumber(headers['retry-after-ms'])
  if (milliseconds !== null) return milliseconds
  const seconds = readNumber(headers['retry-after'])
  if (seconds !== null) return seconds * 1000
  const after = String(headers['retry-after'] ?? '')
  // `Date.parse` makes a date of almost anything with a number in it: one has a time of day.
  const date = /\d:\d\d/.test(after) ? Date.parse(after) : Number.NaN
  return Number.isNaN(date) ? null : Math.max(date - now, 0)
}

/** Of a header that came twice the first. */
function readNumber(header: string | string[] | undefined): number | null {
  const text = (Array.isArray(header) ? header[0] : header)?.split(',')[0]?.trim() ?? ''
  return /^(\d+(\.\d*)?|\.\d+)s?$/.test(text) ? Number.parseFloat(text) : null
}
