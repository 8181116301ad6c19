export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

/**
 * The one text of a JSON value (RFC 8785): members sorted by their names' UTF-16 code units, no spaces, numbers and strings as ECMAScript writes them.
 * A lone surrogate, which isn't text, becomes U+FFFD.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'string') return JSON.stringify(value.replace(LONE_SURROGATE, '\ufffd'))
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isList(value)) return `[${value.map(canonicalJson).join()}]`
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${canonicalJson(name)}:${canonicalJson(value[name]!)}`).join()}}`
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value)
}

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
