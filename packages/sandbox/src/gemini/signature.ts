import { hash } from 'node:crypto'

/** By this the sandbox knows its own thoughts again, whoever kept them. */
export function signatureOf(thought: string): string {
  return Buffer.from(`${hash('sha1', thought, 'hex')}.${seal(hash('sha1', thought, 'hex'))}`).toString('base64')
}

/** Its own; or what Google takes in place of one (https://ai.google.dev/gemini-api/docs/thought-signatures#faqs). */
export function isOwnSignature(signature: unknown): boolean {
  const text = String(signature)
  if (text === 'skip_thought_signature_validator' || text === 'context_engineering_is_the_way_to_go') return true
  const [thought, sealed] = Buffer.from(text, 'base64').toString().split('.', 2)
  return thought !== undefined && sealed === seal(thought)
}

function seal(thought: string): string {
  return hash('sha256', `the sandbox thought: ${thought}`, 'hex')
}
