import type { Letter } from '../mail/mail.ts'

const WHY = {
  gone: 'It answered 410, which says that nothing is to be sent there any more.',
  failing: 'Nothing has reached it for days, though it was tried again and again.',
} as const

/** Tells that a webhook was switched off by itself. Of its URL only the host: paths of webhooks are often secrets. */
export function switchedOffLetter(to: string, publicUrl: string, url: string, because: keyof typeof WHY): Letter {
  const { host } = new URL(url)
  return {
    to,
    subject: `Your webhook at ${host} was switched off`,
    text: `The webhook of your organization at ${host} was switched off. ${WHY[because]}

What couldn't be delivered is in its log of deliveries for 30 days after its event, and can be sent again once the webhook is switched on: ${publicUrl}
`,
  }
}
