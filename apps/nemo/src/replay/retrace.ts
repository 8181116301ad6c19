import type { CarriedOut } from '@nemo/gateway/routing/decision-log'
import { Tries } from '@nemo/gateway/routing/tries'
import type { LoggedAttempt } from '@nemo/postgres/replay-logs'
import { placeOf, type Turn } from './order.ts'

type Attempted = Pick<LoggedAttempt, 'deployment_id' | 'outcome' | 'kind'>

/** After these no other place is tried: it answered, or the client was gone. */
const ENDS = new Set(['200', 'hung-up'])
/** A place that answers so isn't tried again: only the operator can mend it. */
const OPERATORS = new Set(['401', '402', '403', '404'])
/** A call goes on after such an answer only where the input was too long there, to what takes more. */
const TOO_LONG = new Set(['400', '413', '422'])

/**
 * Whether attempts follow from an order: by the rules of `Tries`, through the group and then, when its retries or the patience are used up, the next. Answers with what doesn't, each in a
 * sentence; with nothing when all does. How many retries there were to be isn't logged, and neither is which deployment takes a longer input: there either course follows.
 */
export function retrace(
  order: readonly Turn[],
  attempts: readonly Attempted[],
  postponed: CarriedOut['postponed'] = [],
): string[] {
  const course = new Course(order)
  const differences: string[] = []
  let before: { attempt: Attempted; turn: Turn } | null = null
  for (const [i, attempt] of attempts.entries()) {
    const name = `attempt ${i + 1}`
    const turn = order.find(({ deploymentId }) => deploymentId === attempt.deployment_id)
    if (!turn) return [...differences, `${name} went to ${attempt.deployment_id}, which isn't in the order`]
    if (before && ENDS.has(before.attempt.outcome)) {
      return [...differences, `${name} was made after the call had ended with ${before.attempt.outcome}`]
    }
    for (const [id, attemptsBefore] of postponed) {
      if (attemptsBefore === i && !course.postpone(id)) {
        return [...differences, `${id} was put off before ${name}, and ${course.due} was next`]
      }
    }
    const { due } = course
    if (!course.advance(turn)) return [...differences, `${name} went to ${turn.deploymentId}, and ${due} was next`]
    const kind = before === null ? 'first' : turn.link === before.turn.link ? 'retry' : 'fallback'
    if (kind !== attempt.kind) differences.push(`${name} is logged as a ${attempt.kind}, and was a ${kind}`)
    course.tried(turn, attempt.outcome)
    before = { attempt, turn }
  }
  return differences
}

/** An order as it is gone through, where what isn't logged is left open. */
class Course {
  readonly #order: readonly Turn[]
  readonly #tries: Tries<Turn>
  readonly #postponed = new Set<Turn>()
  #hasBegun = false
  #sawTooLong = false

  constructor(order: readonly Turn[]) {
    this.#order = order
    this.#tries = new Tries(order.map(placeOf), Number.POSITIVE_INFINITY)
  }

  /** Whose turn it would be. */
  get due(): string {
    return this.#tries.next?.deployment.deploymentId ?? 'nothing'
  }

  /** Goes on to the turn as a call may: to a later group once it has begun, and over what is too small for the input. Says whether the turn could be reached. */
  advance(turn: Turn): boolean {
    for (let next = this.#tries.next; next; next = this.#tries.next) {
      const { deployment } = next
      if (deployment === turn) return true
      const isOfThisGroup = this.#tries.turns.some((place) => place.deployment === turn)
      if (isOfThisGroup && this.#sawTooLong) this.#tries.keep((other) => other !== deployment)
      else if (!isOfThisGroup && this.#hasBegun) this.#tries.moveOn()
      else return false
    }
    // How often what was put off is tried depends on what took the input, too.
    return this.#sawTooLong && this.#postponed.has(turn)
  }

  /** The deployment had come to be left out when it was its turn. Says whether it was. */
  postpone(deploymentId: string): boolean {
    const turn = this.#order.find((one) => one.deploymentId === deploymentId)
    if (!turn || !this.advance(turn)) return false
    this.#tries.postpone()
    this.#postponed.add(turn)
    return true
  }

  tried(turn: Turn, outcome: string): void {
    this.#hasBegun = true
    if (this.#tries.next) this.#tries.tried()
    if (TOO_LONG.has(outcome)) this.#sawTooLong = true
    if (TOO_LONG.has(outcome) || OPERATORS.has(outcome)) this.#tries.keep((other) => other !== turn)
  }
}
