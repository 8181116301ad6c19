/** What webhooks can be told of. `audit.` comes before every action of the audit log. */
export const EVENT_TYPES = {
  'audit.*': 'Anything that the audit log has, as an entry of it: audit.key.created, audit.member.removed',
  'limit.crossed': 'A limit came to 50, 80 or 100 percent of its bound in its window',
  'credits.low': 'The credit balance fell below the organization’s threshold',
  'key.created': 'A virtual key was made',
  'key.revoked': 'A virtual key was revoked, and works nowhere any more',
  'invitation.accepted': 'Someone accepted an invitation, and is a member now',
  'purchase.completed': 'Credits were bought and are there to be used',
  'webhook.test': 'Sent on demand, to see that an endpoint works',
} as const

/** Whether an endpoint may ask for it: a type that there is, `*`, or a group of types that ends with `.*`. */
export function isEventPattern(pattern: string): boolean {
  if (pattern === '*' || Object.hasOwn(EVENT_TYPES, pattern)) return true
  if (/^audit(\.[a-z][a-z0-9_-]{0,62}){1,4}(\.\*)?$/.test(pattern)) return true
  return pattern.endsWith('.*') && Object.keys(EVENT_TYPES).some((type) => type.startsWith(pattern.slice(0, -1)))
}

/** Everything that an endpoint may have asked for to get events of the type: itself, each group that it is in, and `*`. */
export function patternsOf(type: string): string[] {
  const parts = type.split('.')
  const groups = parts.slice(1).map((_, i) => `${parts.slice(0, i + 1).join('.')}.*`)
  return ['*', ...groups, type]
}
