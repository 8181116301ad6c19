import { isObject, type JsonObject } from './json.ts'
import { pick, type Random } from './random.ts'
import { words } from './words.ts'

/**
 * A value that satisfies a JSON schema, as far as structured outputs allow one:
 * https://platform.openai.com/docs/guides/structured-outputs#supported-schemas. `pattern` is not honoured.
 */
export function schemaInstance(schema: unknown, random: Random): unknown {
  return instance(schema, { root: schema, random, depth: 0 })
}

type Place = { root: unknown; random: Random; depth: number }

// A schema may refer to itself. From this depth on the way out is taken wherever one is left open.
const depthSoft = 5
const depthHard = 40

function instance(schema: unknown, above: Place): unknown {
  if (!isObject(schema) || above.depth > depthHard) return null
  const place = { ...above, depth: above.depth + 1 }
  if (typeof schema.$ref === 'string') return instance(resolve(schema.$ref, place.root), place)
  if ('const' in schema) return schema.const
  if (isNonEmpty(schema.enum)) return pick(place.random, schema.enum)
  const branches = schema.anyOf ?? schema.oneOf
  if (isNonEmpty(branches)) return instance(branchOf(branches, place), place)
  if (isNonEmpty(schema.allOf)) return instance(merged(schema, schema.allOf, place), place)
  switch (typeOf(schema, place)) {
    case 'object':
      return objectOf(schema, place)
    case 'array':
      return arrayOf(schema, place)
    case 'integer':
      return numberOf(schema, place, 1)
    case 'number':
      return numberOf(schema, place, 0)
    case 'boolean':
      return place.random() < 0.5
    case 'null':
      return null
    default:
      return stringOf(schema, place)
  }
}

function resolve(ref: string, root: unknown): unknown {
  let target = root
  for (const step of ref.replace(/^#\/?/, '').split('/')) {
    if (step === '') continue
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
    target = isObject(target) || Array.isArray(target) ? (target as JsonObject)[name] : undefined
  }
  return target
}

function branchOf(branches: readonly [unknown, ...unknown[]], place: Place): unknown {
  if (place.depth < depthSoft) return branches[0]
  const shallow = branches.find((branch) => isObject(branch) && !('$ref' in branch) && branch.type !== 'object')
  return shallow ?? branches[0]
}

function merged(schema: JsonObject, parts: readonly unknown[], place: Place): JsonObject {
  const { allOf: _, ...whole } = schema
  for (const given of parts) {
    const part = isObject(given) && typeof given.$ref === 'string' ? resolve(given.$ref, place.root) : given
    if (!isObject(part)) continue
    const properties = { ...asObject(whole.properties), ...asObject(part.properties) }
    const required = [...asList(whole.required), ...asList(part.required)]
    Object.assign(whole, part, { properties, required })
  }
  if (Object.keys(asObject(whole.properties)).length === 0) delete whole.properties
  return whole
}

function typeOf(schema: JsonObject, place: Place): unknown {
  if (Array.isArray(schema.type)) {
    if (place.depth >= depthSoft && schema.type.includes('null')) return 'null'
    return schema.type.find((type) => type !== 'null') ?? 'null'
  }
  if (schema.type !== undefined) return schema.type
  if ('properties' in schema) return 'object'
  if ('items' in schema || 'prefixItems' in schema) return 'array'
  if ('minimum' in schema || 'maximum' in schema) return 'number'
  return 'string'
}

function objectOf(schema: JsonObject, place: Place): JsonObject {
  const required = asList(schema.required)
  const made: JsonObject = {}
  for (const [name, property] of Object.entries(asObject(schema.properties))) {
    if (place.depth >= depthSoft && !required.includes(name)) continue
    made[name] = instance(property, place)
  }
  return made
}

function arrayOf(schema: JsonObject, place: Place): unknown[] {
  const first = asList(schema.prefixItems)
  const least = Math.max(numeric(schema.minItems) ?? 0, first.length)
  const wanted = place.depth >= depthSoft ? least : Math.max(least, 1)
  const length = Math.min(wanted, numeric(schema.maxItems) ?? wanted, 1000)
  return Array.from({ length }, (_, index) => instance(first[index] ?? schema.items ?? { type: 'string' }, place))
}

function numberOf(schema: JsonObject, place: Place, whole: 0 | 1): number {
  const step = numeric(schema.multipleOf) ?? (whole || 0.01)
  const above = numeric(schema.exclusiveMinimum)
  const below = numeric(schema.exclusiveMaximum)
  const highest = numeric(schema.maximum) ?? (below === undefined ? undefined : below - step / 2)
  const lowest = numeric(schema.minimum) ?? (above === undefined ? undefined : above + step / 2)
  const from = lowest ?? (highest === undefined || highest > 1 ? Math.min(1, highest ?? 1) : highest - 99 * step)
  const to = highest ?? from + 99 * step
  const firstStep = Math.ceil(from / step)
  const lastStep = Math.max(firstStep, Math.floor(to / step))
  const chosen = firstStep + Math.floor(place.random() * Math.min(100, lastStep - firstStep + 1))
  // 7 × 0.01 is 0.07000000000000001 in binary; nobody wants to read that.
  const value = Number((chosen * step).toPrecision(12))
  return value <= to || highest === undefined ? value : from
}

function stringOf(schema: JsonObject, place: Place): string {
  const formatted = typeof schema.format === 'string' ? formats[schema.format] : undefined
  if (formatted !== undefined) return formatted
  let text = words(place.random, 2, false).join('')
  const least = numeric(schema.minLength) ?? 0
  while (text.length < least) text += words(place.random, 2, false).join('')
  return text.slice(0, Math.max(least, Math.min(text.length, numeric(schema.maxLength) ?? text.length)))
}

const formats: Record<string, string> = {
  'date-time': '2026-01-01T00:00:00Z',
  time: '00:00:00Z',
  date: '2026-01-01',
  duration: 'PT1H',
  email: 'harbor@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uuid: '00000000-0000-4000-8000-000000000000',
  uri: 'https://example.com/',
}

function isNonEmpty(value: unknown): value is [unknown, ...unknown[]] {
  return Array.isArray(value) && value.length > 0
}

function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {}
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function numeric(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
