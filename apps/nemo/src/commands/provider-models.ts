import type { Provider } from '@nemo/codec/provider'
import type { Endpoint, OfferedModel } from '@nemo/domain/catalogue'
import type { PictureRate } from '@nemo/domain/picture'
import { dateOf } from '@nemo/domain/price-book/read-facts'
import { servedModels, snapshotModels } from '@nemo/domain/price-book/snapshot'
import { FREE, isWholePrice } from '@nemo/domain/price-book/whole-price'
import type { UsageClass } from '@nemo/domain/usage'
import { WrongUsage } from '../failure.ts'
import { parseAmount } from './key-limits.ts'

export interface ModelOptions {
  model?: string[]
  endpoint: Endpoint
  inputPrice?: string
  cachedInputPrice?: string
  outputPrice?: string
  requestPrice?: string
  secondPrice?: string
  searchPrice?: string
  imagePrice?: string
  megapixelPrice?: string
  picturePrice?: string[]
  free?: boolean
  context?: bigint
  maxOutput?: bigint
  rpm?: bigint
  tpm?: bigint
  deprecates?: string
}

/** What the options deploy: the models they name, or all that this release knows prices of. Throws where a model would have no price. */
export function modelsOf(
  name: string,
  provider: Provider,
  options: ModelOptions,
  exists: boolean,
): readonly OfferedModel[] {
  const price = priceOf(options)
  const named = options.model ?? []
  if (named.length === 0) {
    if (price) throw new WrongUsage('A price needs a --model that it is the price of.')
    const listed = servedModels(provider.name)
    if (listed.length > 0) return listed
    if (exists) return []
    throw new WrongUsage(`${provider.name} needs at least one --model: its list of models has no prices.`)
  }
  return named.map((text) => {
    const [group = '', upstreamModel = group] = splitOnce(text)
    if (group === '' || upstreamModel === '')
      throw new WrongUsage(`--model "${text}" must be like name or name=upstream-name.`)
    const listed = snapshotModels().find((one) => one.provider === provider.name && one.upstreamModel === upstreamModel)
    if (listed && !price) return { ...listed, group, ...factsOf(options) }
    if (!price) throw new WrongUsage(`${upstreamModel} needs a price: ${neededFor(options.endpoint)}, or --free.`)
    return {
      // A price that is the operator's own must not become that of OpenAI's list entry.
      id: `${name}/${upstreamModel}`,
      provider: provider.baseUrl === null ? name : provider.name,
      endpoint: options.endpoint,
      contextTokens: options.context === undefined ? null : Number(options.context),
      outputTokensMax: options.maxOutput === undefined ? null : Number(options.maxOutput),
      capabilities: [],
      group,
      upstreamModel,
      ...price,
      ...factsOf(options),
      priceSource: 'operator',
    }
  })
}

/** What the operator says of a model beside its price. */
function factsOf({ rpm, tpm, deprecates }: ModelOptions): Partial<OfferedModel> {
  const deprecatesOn = deprecates === undefined ? null : dateOf(deprecates)
  if (deprecates !== undefined && deprecatesOn === null)
    throw new WrongUsage(`--deprecates "${deprecates}" must be a day, like 2027-01-31.`)
  return {
    ...(deprecatesOn !== null && { deprecatesOn }),
    ...(rpm !== undefined && { requestsPerMinute: Number(rpm) }),
    ...(tpm !== undefined && { tokensPerMinute: Number(tpm) }),
  }
}

type GivenPrice = Pick<OfferedModel, 'nanosPerMillion' | 'pictures'>

const MILLION = 1_000_000n

/** Null when no price is given. Tokens are priced per million, requests and images each. */
function priceOf(options: ModelOptions): GivenPrice | null {
  const given: [UsageClass, string | undefined, string, bigint][] = [
    ['input', options.inputPrice, '--input-price', 1n],
    ['cachedInput', options.cachedInputPrice, '--cached-input-price', 1n],
    ['output', options.outputPrice, '--output-price', 1n],
    ['request', options.requestPrice, '--request-price', MILLION],
    ['second', options.secondPrice, '--second-price', MILLION],
    ['search', options.searchPrice, '--search-price', MILLION],
    ['image', options.imagePrice, '--image-price', MILLION],
  ]
  const rates: { [C in UsageClass]?: bigint } = {}
  for (const [usageClass, text, option, units] of given) {
    if (text !== undefined) rates[usageClass] = parseAmount(text, option) * units
  }
  const pictures = picturesOf(options)
  const isEmpty = Object.keys(rates).length === 0 && pictures.length === 0
  if (options.free) {
    if (isEmpty) return { nanosPerMillion: FREE }
    throw new WrongUsage('--free contradicts the price that is given.')
  }
  if (isEmpty) return null
  if (pictures.length > 0 && options.endpoint !== 'images')
    throw new WrongUsage('A price by quality, size or megapixel needs --endpoint images.')
  const price = { nanosPerMillion: rates, ...(pictures.length > 0 && { pictures }) }
  if (!isWholePrice(options.endpoint, price))
    throw new WrongUsage(`The price is incomplete: ${neededFor(options.endpoint)}.`)
  return price
}

const PICTURE_PRICE = /^([^/=]*)(?:\/([^/=]+))?=(.+)$/

/** The table of pictures that the options make. */
function picturesOf({ picturePrice = [], megapixelPrice }: ModelOptions): PictureRate[] {
  const rows = picturePrice.map((text): PictureRate => {
    const [, quality = '', size, price = ''] = PICTURE_PRICE.exec(text) ?? []
    if (quality === '' && size === undefined)
      throw new WrongUsage(`--picture-price "${text}" must be like hd/1024x1024=0.08, hd=0.08 or /1024x1024=0.02.`)
    return {
      ...(quality !== '' && { quality }),
      ...(size !== undefined && { size }),
      nanosPerMillion: parseAmount(price, '--picture-price') * MILLION,
    }
  })
  if (megapixelPrice === undefined) return rows
  const nanosPerMillion = parseAmount(megapixelPrice, '--megapixel-price') * MILLION
  return [...rows, { nanosPerMillion, perMegapixel: true }]
}

function neededFor(endpoint: Endpoint): string {
  switch (endpoint) {
    case 'chat':
      return 'say --input-price and --output-price, or --request-price'
    case 'embeddings':
      return 'say --input-price, or --request-price'
    case 'images':
      return 'say --image-price, --picture-price or --megapixel-price, or --request-price, or --input-price and --output-price'
  }
}

function splitOnce(text: string): string[] {
  const at = text.indexOf('=')
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
