/** Shorter parts are names and numbers, which words may have in them by chance. */
const SECRET_LENGTH_MIN = 8

/** Takes a credential's secret, and each part of one that has several, out of what a provider says: some repeat what they were sent. */
export function hideSecret(secret: string): (text: string) => string {
  const parts = partsOf(secret).filter((part) => part.length >= SECRET_LENGTH_MIN)
  return (text) => parts.reduce((without, part) => without.replaceAll(part, '[secret]'), text)
}

/** AWS's are `id:secret:token`, or JSON, as are Google's. The longest first: it may hold the others. */
function partsOf(secret: string): string[] {
  const parts = [secret, ...secret.split(':'), ...textsIn(secret)]
  return [...new Set(parts)].sort((a, b) => b.length - a.length)
}

function textsIn(json: string): string[] {
  try {
    return Object.values(JSON.parse(json)).filter((value) => typeof value === 'string')
  } catch {
    return []
  }
}
