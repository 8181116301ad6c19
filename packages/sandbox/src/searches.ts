import { isObject, type JsonObject } from './json.ts'
import type { SandboxConfig } from './settings.ts'

/** What the "model" searches for with a tool of its provider's: nothing where it has none, else as often as the setting says, and as it may. */
export function queriesWith(
  tools: unknown,
  isSearch: (tool: JsonObject) => boolean,
  most: unknown,
  { searches }: SandboxConfig,
): string[] {
  if (!Array.isArray(tools) || !tools.some((tool) => isObject(tool) && isSearch(tool))) return []
  const times = typeof most === 'number' ? Math.min(searches, most) : searches
  return Array.from({ length: times }, (_, i) => `rivers ${i + 1}`)
}
