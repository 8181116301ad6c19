import type { Role } from '@nemo/domain/roles'
import type { Answer, CallOptions } from './http-call.ts'
import type { RunningControl } from './running-control.ts'

/** Somebody who is signed in. */
export interface Person {
  readonly id: string
  readonly email: string
  readonly password: string
  readonly cookie: string
  readonly organizationId: string
  call(method: string, path: string, body?: object, options?: CallOptions): Promise<Answer>
}

export const PASSWORD = 'correct horse battery'

/** Signs somebody up, as people do: with the link of the mail. He owns an organization named for him. */
export async function signUp(control: RunningControl, name: string): Promise<Person> {
  const email = `${name}@example.com`
  const from = { headers: { 'x-forwarded-for': addressOf(email) } }
  await control.call('POST', '/api/auth/sign-up', {
    ...from,
    body: { email, password: PASSWORD, name, organization_name: name },
  })
  const token = tokenFor(control, email)
  return personOf(control, email, await control.call('POST', '/api/auth/verify-email', { ...from, body: { token } }))
}

/** Somebody new in the organization of who invites, as the role. */
export async function join(control: RunningControl, inviter: Person, name: string, role: Role): Promise<Person> {
  const email = `${name}@example.com`
  await inviter.call('POST', '/api/invitations', { email, role })
  const body = { token: tokenFor(control, email), name, password: PASSWORD }
  return personOf(control, email, await control.call('POST', '/api/invitations/accept', { body }))
}

/** The token in the last mail to an address. */
export function tokenFor(control: RunningControl, email: string): string {
  const letter = control.letters.findLast(({ to }) => to === email)
  const token = /#token=([\w-]{43})/.exec(letter?.text ?? '')?.[1]
  if (!token) throw new Error(`no link was mailed to ${email}`)
  return token
}

/** The cookie that an answer sets, as browsers send it back. */
export function cookieOf(answer: Answer): string {
  return String(answer.headers['set-cookie']?.[0]).split(';')[0]!
}

export function personOf(control: RunningControl, email: string, answer: Answer): Person {
  if (answer.status >= 300) throw new Error(`${email} couldn't sign in: ${answer.body}`)
  const cookie = cookieOf(answer)
  return {
    id: answer.json.id,
    email,
    password: PASSWORD,
    cookie,
    organizationId: answer.json.organization.id,
    call: (method, path, body, options) => control.call(method, path, { cookie, ...(body && { body }), ...options }),
  }
}

/** An address of his own, so that limits per address don't bind a crowd of a test. */
function addressOf(email: string): string {
  const sum = [...email].reduce((total, character) => (total * 31 + character.charCodeAt(0)) % 65_536, 7)
  return `10.0.${sum >> 8}.${sum & 255}`
}
