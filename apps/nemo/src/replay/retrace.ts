import { type Place, Tries } from '@nemo/gateway/routing/tries'
import type { LoggedAttempt } from '@nemo/postgres/replay-logs'
import type { Turn } from './order.ts'

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
export function retrace(order: readonly Turn[], attempts: readonly Attempted[]): string[] {
  const tries = new Tries(order.map(placeOf), Number.POSITIVE_INFINITY)
  const differences: string[] = []
  let before: { attempt: Attempted; turn: Turn } | null = null
  let sawTooLong = false
  for (const [i, attempt] of attempts.entries()) {
    const turn = order.find(({ deploymentId }) => deploymentId === attempt.deployment_id)
    if (!turn) return [...differences, `attempt ${i + 1} went to ${attempt.deployment_id}, which isn't in the order`]
    if (before && ENDS.has(before.attempt.outcome)) {
      return [...differences, `attempt ${i + 1} was made after the call had ended with ${before.attempt.outcome}`]
    }
    const due = tries.next?.deployment ?? null
    if (!advance(tries, turn, before !== null, sawTooLong)) {
      return [
        ...differences,
        `attempt ${i + 1} went to ${turn.deploymentId}, and ${due === null ? 'nothing' : due.deploymentId} was next`,
      ]
    }
    const kind = before === null ? 'first' : turn.link === before.turn.link ? 'retry' : 'fallback'
    if (kind !== attempt.kind) differences.push(`attempt ${i + 1} is logged as a ${attempt.kind}, and was a ${kind}`)
    tries.tried()
    if (OPERATORS.has(attempt.outcome)) tries.keep((other) => other !== turn)
    if (TOO_LONG.has(attempt.outcome)) {
      sawTooLong = true
      tries.keep((other) => other !== turn)
    }
    before = { attempt, turn }
  }
  return differences
}

function placeOf(turn: Turn): Place<Turn> {
  return { deployment: turn, link: turn.link, lastResort: turn.lastResort }
}

/** Goes on to the turn as a call may: to a later group, and over what is too small for the input. Says whether the turn could be reached. */
function advance(tries: Tries<Turn>, turn: Turn, mayMoveOn: boolean, mayPassOver: boolean): boolean {
  for (let next = tries.next; next; next = tries.next) {
    const { deployment } = next
    if (deployment === turn) return true
    const isSameLeg = deployment.lastResort === turn.lastResort && (turn.lastResort || deployment.link === turn.link)
    if (isSameLeg && mayPassOver) tries.keep((other) => other !== deployment)
    else if (!isSameLeg && mayMoveOn) tries.moveOn()
    else return false
  }
  return false
}
