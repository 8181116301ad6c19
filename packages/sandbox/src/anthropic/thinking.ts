import { hash } from 'node:crypto'

/** What the sandbox thought, as it says it: with a signature by which it knows its own thoughts again. */
export type Thought = { text: string; signature: string }

export function sign(text: string): string {
  return hash('sha256', `the sandbox thought: ${text}`, 'base64')
}

/** A thought that only the sandbox can read. */
export function seal(text: string): string {
  return Buffer.from(JSON.stringify({ text, signature: sign(text) })).toString('base64')
}

export function isSealed(data: unknown): boolean {
  try {
    const { text, signature } = JSON.parse(Buffer.from(String(data), 'base64').toString()) as Thought
    return typeof text === 'string' && signature === sign(text)
  } catch {
    return false
  }
}

/** The text that makes Anthropic's models seal their thoughts, for tests (https://platform.claude.com/docs/en/build-with-claude/extended-thinking#thinking-redaction). */
export const sealingText = 'ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING'
