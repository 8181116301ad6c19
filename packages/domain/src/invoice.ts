import { type Cents, formatPercent } from './billing.ts'

/** Who sells or buys, as written on a document. */
export interface Party {
  readonly name: string
  readonly address: string
  readonly taxId: string
  readonly email: string
}

export interface InvoiceLine {
  readonly description: string
  readonly cents: Cents
}

export type InvoiceKind = 'invoice' | 'credit-note'

/** A document as it was issued. It is never changed: what comes later is another document. */
export interface Invoice {
  readonly number: string
  readonly kind: InvoiceKind
  readonly issuedAt: Date
  readonly seller: Party
  readonly buyer: Party
  readonly lines: readonly InvoiceLine[]
  readonly totalCents: Cents
  /** How it was paid or why it was issued, in a line. */
  readonly note: string
  readonly footer: string
}

/** The lines of credits and the fee on them; of a credit note they are negative. A fee of nothing has no line. */
export function linesOf(
  { creditsCents, feeCents }: { creditsCents: Cents; feeCents: Cents },
  feeBasisPoints: number,
  kind: InvoiceKind,
): InvoiceLine[] {
  const sign = kind === 'credit-note' ? -1n : 1n
  const lines = [{ description: 'Prepaid credits', cents: sign * creditsCents }]
  if (feeCents > 0n)
    lines.push({ description: `Platform fee (${formatPercent(feeBasisPoints)} %)`, cents: sign * feeCents })
  return lines
}
