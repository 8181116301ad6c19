import type { Letter } from '../mail/mail.ts'

/** Tells that a key was found in the open. Of where, only the host: what the finder wrote isn't to be followed unseen. */
export function leakedKeyLetter(
  to: string,
  publicUrl: string,
  {
    alias,
    hint,
    revoked,
    foundAt,
  }: { alias: string; hint: string; revoked: 'key' | 'rotated_secret'; foundAt: string | null },
): Letter {
  const host = foundAt !== null && URL.canParse(foundAt) ? new URL(foundAt).hostname : null
  const place = host ? ` at ${host}` : ''
  const done =
    revoked === 'key'
      ? 'The key was revoked at once, and works nowhere any more. Whatever used it needs another one.'
      : 'The key had been rotated since; what was found, its former secret, was ended at once. Its new one goes on working.'
  return {
    to,
    subject: `Your virtual key ${alias.replaceAll(/\s+/g, ' ').slice(0, 100)} was found in the open`,
    text: `The virtual key "${alias}" (${hint}) was reported as found${place} where others may read it.

${done}

What it was used for is in the log, and where it was found in the audit log: ${publicUrl}
`,
  }
}
