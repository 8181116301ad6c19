import type { Letter } from '../mail/mail.ts'

/** What people get by mail. Tokens are in the fragment of a link, which browsers send to no server and in no referrer. */
export function signUpLetter(to: string, publicUrl: string, token: string): Letter {
  return {
    to,
    subject: 'Confirm your e-mail address',
    text: `Welcome to Nemo Router.

Follow this link within a day to confirm your address and open your account:

${publicUrl}/verify-email#token=${token}

If you didn't ask for an account, leave it be: nothing happens without the link.
`,
  }
}

export function knownAddressLetter(to: string, publicUrl: string): Letter {
  return {
    to,
    subject: 'You have an account already',
    text: `Somebody, perhaps you, asked for an account at Nemo Router with this address. You have one already:

${publicUrl}/sign-in

Set another password here, if you forgot yours: ${publicUrl}/forgot-password
`,
  }
}

export function passwordResetLetter(to: string, publicUrl: string, token: string): Letter {
  return {
    to,
    subject: 'Set another password',
    text: `Follow this link within an hour to set another password:

${publicUrl}/reset-password#token=${token}

If you didn't ask for it, leave it be: your password stays as it is.
`,
  }
}

/** After the fact, so that who didn't do it hears of it. */
export function accountChangedLetter(to: string, publicUrl: string, what: string): Letter {
  return {
    to,
    subject: what,
    text: `${what}.

If it wasn't you, set another password at once, which ends every session, and revoke the personal tokens that you don't know: ${publicUrl}/forgot-password
`,
  }
}

export function accountDeletedLetter(to: string, publicUrl: string): Letter {
  return {
    to,
    subject: 'Your account was deleted',
    text: `Your account at ${publicUrl} was deleted, as you asked, with all that you signed in with.
`,
  }
}

export function invitationLetter(
  to: string,
  publicUrl: string,
  { token, organization, inviter, role }: { token: string; organization: string; inviter: string; role: string },
): Letter {
  return {
    to,
    subject: `${oneLine(inviter)} invites you to ${oneLine(organization)}`,
    text: `${oneLine(inviter)} invites you to ${oneLine(organization)} at Nemo Router, as ${role}.

Follow this link within seven days to join:

${publicUrl}/accept-invitation#token=${token}
`,
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 200)
}
