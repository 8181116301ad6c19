import type { Cents } from '@nemo/domain/billing'
import { uuidv7 } from '@nemo/domain/ids'
import { type Invoice, type InvoiceKind, linesOf, type Party } from '@nemo/domain/invoice'
import type pg from 'pg'
import type { Purchase } from './billing-purchases.ts'
import type { Transaction } from './tenancy.ts'

export interface Seller extends Party {
  readonly footer: string
  readonly numberPrefix: string
}

/** Who sells. As the operator. */
export async function findSeller(operator: Pick<pg.Pool, 'query'>): Promise<Seller> {
  const { rows } = await operator.query(
    'select name, address, tax_id as "taxId", email, footer, number_prefix as "numberPrefix" from seller',
  )
  return rows[0]
}

/** For documents from now on. What is left out stays as it is. As the operator. */
export async function setSeller(operator: Pick<pg.Pool, 'query'>, seller: Partial<Seller>): Promise<void> {
  await operator.query(
    `update seller set name = coalesce($1, name), address = coalesce($2, address), tax_id = coalesce($3, tax_id),
       email = coalesce($4, email), footer = coalesce($5, footer), number_prefix = coalesce($6, number_prefix)`,
    [
      seller.name ?? null,
      seller.address ?? null,
      seller.taxId ?? null,
      seller.email ?? null,
      seller.footer ?? null,
      seller.numberPrefix ?? null,
    ],
  )
}

interface NewInvoice {
  readonly kind: InvoiceKind
  readonly reference: string
  readonly creditsCents: Cents
  readonly feeCents: Cents
  readonly note: string
}

/**
 * Issues a document for a purchase, under the next number. Numbers have no gaps: the last one is held until the transaction ends, and given back when it fails; so
 * this comes last in a transaction. Once by (purchase, kind, reference). As the operator.
 */
export async function issueInvoice(operator: Transaction, purchase: Purchase, wanted: NewInvoice): Promise<void> {
  const taken = await operator.query('select last from document_numbers for update')
  const known = await operator.query('select 1 from invoices where purchase_id = $1 and kind = $2 and reference = $3', [
    purchase.id,
    wanted.kind,
    wanted.reference,
  ])
  if (known.rowCount) return
  const sequence: bigint = taken.rows[0].last + 1n
  const { footer, numberPrefix, ...seller } = await findSeller(operator)
  const buyer = await operator.query(
    `select coalesce(nullif(a.company, ''), o.name) as name, a.address, a.tax_id as "taxId", coalesce(a.email, '') as email, clock_timestamp() as now
       from organizations o join billing_accounts a on a.organization_id = o.id where o.id = $1`,
    [purchase.organizationId],
  )
  const { now, ...party } = buyer.rows[0]
  // What changes an invoice names it.
  const first = await operator.query(
    `select ' (invoice ' || number || ')' as named from invoices where purchase_id = $1 order by sequence limit 1`,
    [purchase.id],
  )
  const lines = linesOf(wanted, purchase.feeBasisPoints, wanted.kind)
  const total = lines.reduce((sum, { cents }) => sum + cents, 0n)
  await operator.query(
    `insert into invoices (id, organization_id, sequence, number, kind, purchase_id, reference, total_cents, document, issued_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      uuidv7(),
      purchase.organizationId,
      sequence,
      `${numberPrefix}${String(sequence).padStart(6, '0')}`,
      wanted.kind,
      purchase.id,
      wanted.reference,
      total,
      JSON.stringify({
        seller,
        buyer: party,
        lines: lines.map(({ description, cents }) => ({ description, cents: String(cents) })),
        note: `${wanted.note}${first.rows[0]?.named ?? ''}`,
        footer,
      }),
      now,
    ],
  )
  await operator.query('update document_numbers set last = $1', [sequence])
}

export interface StoredInvoice extends Invoice {
  readonly id: string
  readonly organizationId: string
  readonly sequence: bigint
  readonly purchaseId: string
}

const SELECT = `select id, organization_id, sequence, number, kind, purchase_id, total_cents, document, issued_at from invoices`

/** Newest first, after the one named. */
export async function listInvoices(
  tx: Pick<pg.Pool, 'query'>,
  organizationId: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<StoredInvoice[]> {
  const { rows } = await tx.query(
    `${SELECT} where organization_id = $1
        and ($2::uuid is null or sequence < (select i.sequence from invoices i where i.id = $2 and i.organization_id = $1))
      order by sequence desc limit $3`,
    [organizationId, after ?? null, limit],
  )
  return rows.map(read)
}

export async function findInvoice(tx: Pick<pg.Pool, 'query'>, id: string): Promise<StoredInvoice | null> {
  const { rows } = await tx.query(`${SELECT} where id = $1`, [id])
  return rows[0] ? read(rows[0]) : null
}

// biome-ignore lint/suspicious/noExplicitAny: a row is what the query above selects
function read(row: any): StoredInvoice {
  const { seller, buyer, lines, note, footer } = row.document
  return {
    id: row.id,
    organizationId: row.organization_id,
    sequence: row.sequence,
    purchaseId: row.purchase_id,
    number: row.number,
    kind: row.kind,
    issuedAt: row.issued_at,
    seller,
    buyer,
    lines: lines.map((line: { description: string; cents: string }) => ({
      description: line.description,
      cents: BigInt(line.cents),
    })),
    totalCents: row.total_cents,
    note,
    footer,
  }
}
