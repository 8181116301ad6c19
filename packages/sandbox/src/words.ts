import { pick, type Random } from './random.ts'

/** Exactly `count` tokens of text, one word each; all but the first carry their leading space, as real tokens do. */
export function words(random: Random, count: number, unicode: boolean): string[] {
  const pieces: string[] = []
  for (let index = 0; index < count; index++) {
    // Every third word is multibyte, so that even a short answer can be split inside a character.
    const word = unicode && index % 3 === 1 ? pick(random, multibyte) : pick(random, plain)
    pieces.push(index === 0 ? word : ` ${word}`)
  }
  return pieces
}

// Nothing here may look like a secret, a name or a number: guardrails run on these answers too.
const plain = [
  ...['amber', 'anchor', 'apple', 'autumn', 'basin', 'birch', 'bridge', 'canvas', 'cedar', 'cloud', 'copper', 'coral'],
  ...['delta', 'dune', 'ember', 'fern', 'field', 'flint', 'forest', 'garden', 'glass', 'grain', 'harbor', 'hazel'],
  ...['island', 'ivory', 'juniper', 'kelp', 'lagoon', 'lantern', 'maple', 'marble', 'meadow', 'mist', 'moss', 'north'],
  ...['oak', 'ocean', 'olive', 'orchard', 'pebble', 'pine', 'plain', 'quartz', 'quiet', 'rain', 'reef', 'river'],
  ...['sail', 'sand', 'shore', 'silver', 'slate', 'snow', 'spring', 'stone', 'summer', 'tide', 'timber', 'valley'],
  ...['velvet', 'violet', 'water', 'willow', 'wind', 'winter'],
] as unknown as [string, ...string[]]

// Two, three and four bytes a character, and one that is several code points.
const multibyte = ['naïve', 'crème', 'Ωmega', 'река', '東京', '안녕', 'हिन्दी', '🙂', '👩‍🚀', '€uro'] as const
