import type { OfferedModel } from '../catalogue.ts'
import { OPENAI_MODELS } from '../openai-models.ts'
import { wasServed } from './known-facts.ts'
import { complete, offer } from './offer.ts'
import { PICTURE_MODELS } from './picture-models.ts'
import { readPriceSource } from './read-source.ts'
import snapshot from './snapshot.json' with { type: 'json' }

let models: readonly OfferedModel[] | null = null

/** The models that this release knows prices of. Ours come before the snapshot's: they are read from the makers' own pages. */
export function snapshotModels(): readonly OfferedModel[] {
  if (models === null) {
    const today = new Date().toISOString().slice(0, 10)
    const own = [...OPENAI_MODELS, ...PICTURE_MODELS].map(complete)
    const known = new Set(own.map(({ id }) => id))
    const offered = readPriceSource(snapshot.providers, today, () => {})
      .filter(({ isDeprecated }) => !isDeprecated)
      .flatMap((model) => offer(model, snapshot.source))
      .filter(({ id }) => !known.has(id))
    models = [...own, ...offered]
  }
  return models
}

/** Those of a provider that it still served when the release was made: what a credential of it brings with it. */
export function servedModels(provider: string): readonly OfferedModel[] {
  return snapshotModels().filter((model) => model.provider === provider && wasServed(model))
}
