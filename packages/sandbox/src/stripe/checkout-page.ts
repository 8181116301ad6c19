import { type Form, textOf } from './form.ts'
import { StripeRefusal } from './objects.ts'
import type { Till } from './till.ts'

/** The hosted page of a Checkout session: shows what is to be paid, and takes one of the test cards for it. */
export function checkoutPage(
  till: Till,
  method: string,
  sessionId: string,
  form: Form,
): { status: number; headers: Record<string, string>; html: string } {
  try {
    if (method === 'POST') {
      const session = till.complete(sessionId, textOf(form, 'card') ?? 'pm_card_visa')
      if (session.status === 'complete') {
        const location = session.success_url.replace('{CHECKOUT_SESSION_ID}', session.id)
        return { status: 303, headers: { location }, html: '' }
      }
      return answer(402, '<p>Your card was declined.</p>')
    }
    const session = till.session(sessionId)
    if (session.status !== 'open') return answer(410, `<p>This session is ${session.status}.</p>`)
    const rows = session.line_items.map(
      ({ name, amount, quantity }) => `<li>${escapeHtml(name)}: $${dollars(amount * quantity)}</li>`,
    )
    return answer(
      200,
      `<h1>Stripe emulator</h1><ul>${rows.join('')}</ul>
<form method="post"><select name="card"><option value="pm_card_visa">Visa 4242<option value="pm_card_chargeCustomerFail">A card that is declined</select>
<button>${session.mode === 'setup' ? 'Save card' : `Pay $${dollars(session.amount_total ?? 0)}`}</button></form>`,
    )
  } catch (error) {
    if (error instanceof StripeRefusal) return answer(error.status, `<p>${escapeHtml(error.message)}</p>`)
    throw error
  }
}

function answer(status: number, body: string) {
  return {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    html: `<!doctype html><meta charset="utf-8"><title>Checkout</title>${body}`,
  }
}

function dollars(cents: number): string {
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
