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
 * chain; in the end what is cooling, group by group again, so that the one that lives is found behind any that don't.
 */
export class Tries<D> {
  readonly #legs: Leg<D>[] = []

  constructor(places: readonly Place<D>[], retriesMax: number) {
    let last: Place<D> | null = null
    for (const place of places) {
      const goesOn = last?.lastResort === place.lastResort && last.link === place.link
      if (goesOn) this.#legs.at(-1)!.places.push(place)
      else this.#legs.push({ places: [place], triesLeft: retriesMax + 1 })
      last = place
    }
  }

  /** The place whose turn it is; null when none is left. */
  get next(): Place<D> | null {
    return this.#leg?.places[0] ?? null
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

  /** The place whose turn it is has come to be left out since the decision: it is tried after all others, with what retries are left. */
  postpone(): void {
    const leg = this.#leg!
    this.#legs.push({ places: [{ ...leg.places.shift()!, lastResort: true }], triesLeft: leg.triesLeft })
  }

  /** Leaves only what is worth a try, here and further on. */
  keep(isWorthIt: (deployment: D) => boolean): void {
    for (const leg of this.#legs) leg.places = leg.places.filter(({ deployment }) => isWorthIt(deployment))
  }

  /** Gives this group up for the next. */
  moveOn(): void {
    if (this.#leg) this.#legs.shift()
  }

  get #leg(): Leg<D> | null {
    while (this.#legs[0] && (this.#legs[0].places.length === 0 || this.#legs[0].triesLeft === 0)) this.#legs.shift()
    return this.#legs[0] ?? null
  }
}
