import type { Nanos } from './money.ts'

/** What was asked of a picture, or what a provider says that it made; null where that isn't said. Words are the provider's: `hd`, `1024x1536`, `auto`. */
export interface Picture {
  readonly quality: string | null
  readonly size: string | null
}

/** A row of a table of pictures. Without a quality or a size it is for any. */
export interface PictureRate {
  readonly quality?: string
  readonly size?: string
  /** Nanodollars per million pictures, or, where it is `perMegapixel`, per million megapixels. */
  readonly nanosPerMillion: Nanos
  /** Each picture is billed by its megapixels, rounded up. */
  readonly perMegapixel?: boolean
  /** What the provider makes, by its documentation, where quality or size aren't said. */
  readonly isDefault?: boolean
}

/**
 * What a million such pictures cost. Of several rows that fit, one for just such pictures comes before one for any; where something is left to the provider and nobody says what it takes
 * then, it could be the dearest. Null where no row fits: then it is none of the table's.
 */
export function pictureRate(rates: readonly PictureRate[], picture: Picture): Nanos | null {
  const usual = rates.find(({ isDefault }) => isDefault)
  const quality = said(picture.quality) ?? usual?.quality ?? null
  const size = said(picture.size) ?? usual?.size ?? null
  const fitting = rates.filter((rate) => fits(rate.quality, quality) && fits(rate.size, size))
  const least = quality === null || size === null ? 0 : Math.max(...fitting.map(exactness))
  let dearest: Nanos | null = null
  for (const rate of fitting) {
    if (exactness(rate) < least) continue
    const nanos = rate.perMegapixel ? rate.nanosPerMillion * megapixels(size) : rate.nanosPerMillion
    if (dearest === null || nanos > dearest) dearest = nanos
  }
  return dearest
}

/** Each of them as the first says, and where it doesn't, as the second does. */
export function firstSaid(first: Picture | null | undefined, second: Picture | null): Picture | null {
  if (!first || !second) return first ?? second
  return { quality: said(first.quality) ?? second.quality, size: said(first.size) ?? second.size }
}

function exactness({ quality, size }: PictureRate): number {
  return (quality === undefined ? 0 : 1) + (size === undefined ? 0 : 1)
}

function fits(row: string | undefined, asked: string | null): boolean {
  return row === undefined || asked === null || row === asked
}

/** `auto` leaves it to the provider, as saying nothing does. */
function said(word: string | null): string | null {
  return word === 'auto' ? null : word
}

/** Of a picture whose size isn't said: makers' own sizes are about one, and those of presets below two. */
const MEGAPIXELS_UNKNOWN = 2n
/** What is called a megapixel is 1024 by 1024 points at those who bill by it. */
const MEGAPIXEL = 1024 * 1024

function megapixels(size: string | null): bigint {
  const [, width, height] = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(size ?? '') ?? []
  if (width === undefined) return MEGAPIXELS_UNKNOWN
  return BigInt(Math.ceil((Number(width) * Number(height)) / MEGAPIXEL))
}
