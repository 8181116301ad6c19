import { formatCents } from '@nemo/domain/billing'
import type { Invoice, Party } from '@nemo/domain/invoice'

export const TITLES: Record<Invoice['kind'], string> = { invoice: 'Invoice', 'credit-note': 'Credit note' }

/** The document as a page that needs nothing else, and prints on one sheet. */
export function invoiceHtml(invoice: Invoice): string {
  const title = `${TITLES[invoice.kind]} ${invoice.number}`
  const rows = invoice.lines.map(
    ({ description, cents }) => `<tr><td>${escapeHtml(description)}</td><td>${formatCents(cents)}</td></tr>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escapeHtml(title)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1.5rem; color: #111; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
.parties { display: flex; gap: 3rem; margin: 2rem 0; }
.parties > div { flex: 1; white-space: pre-line; overflow-wrap: anywhere; }
h2 { font-size: .8rem; color: #555; margin: 0; font-weight: 600; }
table { width: 100%; border-collapse: collapse; }
td, th { padding: .5rem 0; border-bottom: 1px solid #ddd; text-align: left; }
td:last-child, th:last-child { text-align: right; font-variant-numeric: tabular-nums; }
footer { margin-top: 2rem; color: #555; white-space: pre-line; }
</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<time datetime="${invoice.issuedAt.toISOString()}">${dateOf(invoice)}</time>
<div class="parties">
<div><h2>From</h2>${partyHtml(invoice.seller)}</div>
<div><h2>To</h2>${partyHtml(invoice.buyer)}</div>
</div>
<table>
<thead><tr><th>Description</th><th>USD</th></tr></thead>
<tbody>${rows.join('')}</tbody>
<tfoot><tr><th>Total</th><th>${formatCents(invoice.totalCents)}</th></tr></tfoot>
</table>
<footer>${escapeHtml([invoice.note, invoice.footer].filter(Boolean).join('\n\n'))}</footer>
</body>
</html>
`
}

/** The lines of a party, without those that are empty. */
export function partyLines({ name, address, taxId, email }: Party): string[] {
  return [name, ...address.split('\n'), taxId === '' ? '' : `Tax id ${taxId}`, email].filter(
    (line) => line.trim() !== '',
  )
}

export function dateOf({ issuedAt }: Invoice): string {
  return issuedAt.toISOString().slice(0, 10)
}

function partyHtml(party: Party): string {
  return partyLines(party).map(escapeHtml).join('\n')
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}
