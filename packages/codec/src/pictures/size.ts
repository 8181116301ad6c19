import { invalidRequest } from '@nemo/domain/errors'
import type { JsonObject } from '../chat/request.ts'
import { readText } from '../fields.ts'

/** `size` as OpenAI has it; null of none, and of `auto`. Throws a 400. */
export function readSize(body: JsonObject): { width: number; height: number } | null {
  const size = readText(body, 'size')
  if (size === null || size === 'auto') return null
  const [, width, height] = /^([1-9]\d{1,4})x([1-9]\d{1,4})$/.exec(size) ?? []
  if (width === undefined) throw invalidRequest('size', 'size must be auto or a width and a height, such as 1024x1024.')
  return { width: Number(width), height: Number(height) }
}

/** Such as `3:2`. */
export function ratioOf({ width, height }: { width: number; height: number }): string {
  const most = greatestDivisor(width, height)
  return `${width / most}:${height / most}`
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}
