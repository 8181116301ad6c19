import type { Endpoint } from '../catalogue.ts'
import type { Price } from '../pricing.ts'

/** What costs nothing, and says so: what has no price can't be called. */
export const FREE: Price['nanosPerMillion'] = { input: 0n, output: 0n, request: 0n }

/** Whether a price says what all of a call costs. What isn't priced would be given away: output tokens, when only input has a price. */
export function isWholePrice(
  endpoint: Endpoint,
  { nanosPerMillion: { input, output, request, image }, pictures = [] }: Pick<Price, 'nanosPerMillion' | 'pictures'>,
): boolean {
  if (pictures.length > 0) return endpoint === 'images'
  if (request !== undefined && input === undefined && output === undefined) return true
  switch (endpoint) {
    case 'chat':
      return input !== undefined && output !== undefined
    case 'embeddings':
      return input !== undefined
    case 'images':
      return image !== undefined || (input !== undefined && output !== undefined)
  }
}
