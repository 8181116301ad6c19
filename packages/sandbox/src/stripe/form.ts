export type Form = { [name: string]: string | Form }

/** Reads a body as Stripe's clients write it: form-encoded, with brackets for what is nested (https://docs.stripe.com/api#request-bodies). */
export function parseForm(text: string): Form {
  const form: Form = Object.create(null)
  for (const [path, value] of new URLSearchParams(text)) {
    const [first, ...rest] = path.replaceAll(']', '').split('[') as [string, ...string[]]
    let into = form
    let name = first
    for (const next of rest) {
      let inner = into[name]
      if (typeof inner !== 'object') {
        inner = Object.create(null) as Form
        into[name] = inner
      }
      into = inner
      name = next
    }
    into[name] = value
  }
  return form
}

export function textOf(form: Form, name: string): string | null {
  const value = form[name]
  return typeof value === 'string' && value !== '' ? value : null
}

export function formOf(form: Form, name: string): Form {
  const value = form[name]
  return typeof value === 'object' ? value : {}
}

/** What has been sent as an array. */
export function listOf(form: Form, name: string): Form[] {
  return Object.values(formOf(form, name)).filter((value): value is Form => typeof value === 'object')
}

/** Metadata is text by text. */
export function textsOf(form: Form, name: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(formOf(form, name)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
