/** A place to try, as the decision put it in its order. */
export interface Place<D> {
  readonly deployment: D
  /** The group that it belongs to: 0 is the one that was asked for, others are of the chain. */
  readonly link: number
  readonly lastResort: boolean
}

interface Leg<D> {
  /** In the order of their turns; whose turn has been goes to the end. */
  places: Place<D>[]
  triesLeft: number
}

/**
 * Which place a call tries next. In each group so many retries beyond the first try: on another deployment while there is one, then around again; then the next group of the
 * chain. In the end what is cooling, of all groups by turns, since any of them may be the one that is well again.
 */
export class Tries<D> {
  readonly #legs: Leg<D>[] = []
  /** The last of them, where anything is cooling. */
  #resort: Leg<D> | null = null

  constructor(places: readonly Place<D>[], retriesMax: number) {
    const well = places.filter(({ lastResort }) => !lastResort)
    for (const ofGroup of byLink(well)) this.#legs.push({ places: ofGroup, triesLeft: retriesMax + 1 })
    const cooling = byLink(places.filter(({ lastResort }) => lastResort))
    if (cooling.length > 0) this.#addResort(byTurns(cooling), cooling.length * (retriesMax + 1))
  }

  /** The place whose turn it is; null when none is left. */
  get next(): Place<D> | null {
    return this.#leg?.places[0] ?? null
  }

  /** The places of the group whose turn it is, in the order of theirs. */
  get turns(): readonly Place<D>[] {
    return this.#leg?.places ?? []
  }

  /** Whether there is anywhere else to go than the place whose turn it is. */
  get hasElsewhere(): boolean {
    const leg = this.#leg
    return leg !== null && (this.#legs.length > 1 || leg.places.length > 1)
  }

  /** The place whose turn it is has been tried. */
  tried(): void {
    const leg = this.#leg!
    leg.triesLeft--
    leg.places.push(leg.places.shift()!)
  }

  /** The place whose turn it is has come to be left out since the decision: it is tried after all others. */
  postpone(): void {
    const leg = this.#leg!
    const place = { ...leg.places.shift()!, lastResort: true }
    this.#addResort([place], leg.places.length === 0 ? leg.triesLeft : 1)
  }

  /** Leaves only what is worth a try, here and further on. */
  keep(isWorthIt: (deployment: D) => boolean): void {
    for (const leg of this.#legs) leg.places = leg.places.filter(({ deployment }) => isWorthIt(deployment))
  }

  /** Gives this group up for the next. */
  moveOn(): void {
    if (this.#leg) this.#legs.shift()
  }

  #addResort(places: readonly Place<D>[], tries: number): void {
    if (!this.#resort) {
      this.#resort = { places: [], triesLeft: 0 }
      this.#legs.push(this.#resort)
    }
    this.#resort.places.push(...places)
    this.#resort.triesLeft += tries
  }

  get #leg(): Leg<D> | null {
    while (this.#legs[0] && (this.#legs[0].places.length === 0 || this.#legs[0].triesLeft === 0)) this.#legs.shift()
    return this.#legs[0] ?? null
  }
}

/** Each group's places by themselves. */
function byLink<D>(places: readonly Place<D>[]): Place<D>[][] {
  const links = new Map<number, Place<D>[]>()
  for (const place of places) {
    const known = links.get(place.link)
    if (known) known.push(place)
    else links.set(place.link, [place])
  }
  return [...links.values()]
}

/** The first of each group, then the second of each, and so on. */
function byTurns<D>(groups: readonly Place<D>[][]): Place<D>[] {
  const longest = Math.max(...groups.map(({ length }) => length))
  return Array.from({ length: longest }, (_, i) => groups.flatMap((group) => group[i] ?? [])).flat()
}
