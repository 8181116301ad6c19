/** A mail to one person. */
export interface Letter {
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html?: string
}

/** Sends mail. */
export interface Mail {
  /** Sends it soon, and answers at once, so that how long an answer takes doesn't tell whether there was a mail. A failure is logged. */
  send(letter: Letter): void
  /** Resolves when all that was to be sent was, or failed. */
  settled(): Promise<void>
  close(): Promise<void>
}
