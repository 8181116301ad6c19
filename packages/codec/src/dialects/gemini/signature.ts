/** Conversations move between providers, and each refuses what another has signed: so a signature of a thought says whose it is. */
const MARK = 'google:'

export function markSignature(signature: string | null): string | null {
  return signature === null ? null : MARK + signature
}

/** The signature as Google wrote it; null of one that Google didn't. */
export function googleSignature(signature: string | null): string | null {
  return signature?.startsWith(MARK) ? signature.slice(MARK.length) : null
}
