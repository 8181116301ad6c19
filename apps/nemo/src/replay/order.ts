import { decide, type Question, scoresOf } from '@nemo/gateway/routing/decide'
import type { CarriedOut } from '@nemo/gateway/routing/decision-log'
import { drawsFrom } from '@nemo/gateway/routing/draws'
import { type Place, Tries } from '@nemo/gateway/routing/tries'

/** A place of the order, by the deployment's id. */
export interface Turn {
  readonly deploymentId: string
  readonly link: number
  readonly lastResort: boolean
}

/** The order that follows from the question, without what the call passed over since it could not do what was asked. */
export function orderOf(question: Question, passedOver: CarriedOut['passedOver']): Turn[] {
  const turns = decide(question).map(({ link, at, lastResort }) => ({
    deploymentId: question.links[link]!.facts[at]!.id,
    link,
    lastResort,
  }))
  return passedOver.length === 0
    ? turns
    : turns.filter(({ deploymentId }) => !passedOver.some(([id]) => id === deploymentId))
}

/** The same as a call goes through it, whose every attempt fails: with what came to be left out since the decision at its end, since no policy would have known that before. */
export function courseOf(order: readonly Turn[], postponed: CarriedOut['postponed']): Turn[] {
  const tries = new Tries(order.map(placeOf), Number.POSITIVE_INFINITY)
  const course: Turn[] = []
  for (; tries.next; tries.moveOn()) course.push(...tries.turns.map(({ deployment }) => deployment))
  if (postponed.length === 0) return course
  const isLast = ({ deploymentId }: Turn) => postponed.some(([id]) => id === deploymentId)
  return [
    ...course.filter((turn) => !isLast(turn)),
    ...course.filter(isLast).map((turn) => ({ ...turn, lastResort: true })),
  ]
}

export function placeOf(turn: Turn): Place<Turn> {
  return { deployment: turn, link: turn.link, lastResort: turn.lastResort }
}

/** By link, what each deployment was worth to the strategy: the least is first. Takes the draws that deciding takes, in the same order. */
export function scoresByLink({ seed, links }: Question): number[][] {
  const draw = drawsFrom(seed)
  return links.map(({ strategy, facts }) => {
    if (facts.length === 1) return scoresOf(strategy, facts, ALWAYS)
    const scores = scoresOf(strategy, facts, draw)
    // Every place of a shuffle but the last is drawn.
    for (let i = 1; i < facts.length; i++) draw()
    return scores
  })
}

/** Who is alone isn't drawn for. */
const ALWAYS = () => 1

/** Whether two orders are the same for whoever goes through them. */
export function isSameOrder(one: readonly Turn[], other: readonly Turn[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ deploymentId, link, lastResort }, i) => {
      const turn = other[i]!
      return deploymentId === turn.deploymentId && link === turn.link && lastResort === turn.lastResort
    })
  )
}
