/** What the doctor has to say about one thing, and what to do where it isn't well. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'problem'
  readonly what: string
  readonly remedy: string | null
}

export function ok(what: string): Finding {
  return { level: 'ok', what, remedy: null }
}

/** Works, but isn't as it should be. */
export function warning(what: string, remedy: string): Finding {
  return { level: 'warning', what, remedy }
}

/** Keeps calls from being answered, or money from being right. */
export function problem(what: string, remedy: string): Finding {
  return { level: 'problem', what, remedy }
}
