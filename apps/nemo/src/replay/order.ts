import { decide, type Facts, type Question, scoresOf } from '@nemo/gateway/routing/decide'
import { drawsFrom } from '@nemo/gateway/routing/draws'

/** A place of the order, by the deployment's id. */
export interface Turn {
  readonly deploymentId: string
  readonly link: number
  readonly lastResort: boolean
}

/** The order that follows from the question, without what the call passed over since it could not do what was asked. */
export function orderOf(question: Question, passedOver: readonly (readonly [id: string, param: string])[]): Turn[] {
  const turns = decide(question).map(({ link, at, lastResort }) => ({
    deploymentId: question.links[link]!.facts[at]!.id,
    link,
    lastResort,
  }))
  return passedOver.length === 0
    ? turns
    : turns.filter(({ deploymentId }) => !passedOver.some(([id]) => id === deploymentId))
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

/** The facts of a deployment in a question. */
export function factsIn({ links }: Question, deploymentId: string): Facts | null {
  for (const { facts } of links) for (const one of facts) if (one.id === deploymentId) return one
  return null
}
