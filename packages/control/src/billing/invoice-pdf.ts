import { formatCents } from '@nemo/domain/billing'
import type { Invoice } from '@nemo/domain/invoice'
import { dateOf, partyLines, TITLES } from './invoice-html.ts'

const A4 = [595, 842] as const
const LEFT = 56
const RIGHT = A4[0] - LEFT
const LINE = 15
const BOTTOM = 56

/**
 * The document as a PDF of A4 sheets. The fonts are those that every reader has, which know Western letters: any other is written without its accent, or as
 * a question mark; the page (invoiceHtml) has it as it is.
 */
export async function invoicePdf(invoice: Invoice): Promise<Uint8Array> {
  // Only who asks for a PDF waits for it.
  const { PDFDocument, StandardFonts, rgb } = await import('pdf-lib')
  const pdf = await PDFDocument.create()
  const plain = await pdf.embedFont(StandardFonts.Helvetica)
  const bold = await pdf.embedFont(StandardFonts.HelveticaBold)
  const known = new Set(plain.getCharacterSet())
  const grey = rgb(0.35, 0.35, 0.35)
  const title = `${TITLES[invoice.kind]} ${invoice.number}`
  pdf.setTitle(writable(title, known))
  pdf.setCreationDate(invoice.issuedAt)
  pdf.setModificationDate(invoice.issuedAt)

  let page = pdf.addPage([...A4])
  let y = A4[1] - 72
  const write = (text: string, x: number, more: { font?: typeof plain; size?: number; color?: typeof grey } = {}) => {
    const { font = plain, size = 10, color } = more
    page.drawText(writable(text, known), { x, y, font, size, ...(color && { color }) })
  }
  const writeRight = (text: string, font = plain) =>
    page.drawText(text, { x: RIGHT - font.widthOfTextAtSize(text, 10), y, font, size: 10 })
  const down = (by = LINE) => {
    y -= by
    if (y >= BOTTOM) return
    page = pdf.addPage([...A4])
    y = A4[1] - 72
  }
  const rule = () => {
    page.drawLine({ start: { x: LEFT, y: y - 5 }, end: { x: RIGHT, y: y - 5 }, thickness: 0.5, color: grey })
    down(20)
  }
  const wrap = (text: string, width: number) => {
    const lines: string[] = []
    for (const paragraph of text.split('\n')) {
      let line = ''
      for (const word of pieces(paragraph)) {
        if (line !== '' && plain.widthOfTextAtSize(writable(line + word, known).trimEnd(), 10) > width) {
          lines.push(line)
          line = ''
        }
        line += word
      }
      lines.push(line)
    }
    return lines
  }

  write(title, LEFT, { font: bold, size: 18 })
  down(20)
  write(dateOf(invoice), LEFT, { color: grey })
  down(36)
  for (const [heading, party] of [
    ['From', invoice.seller],
    ['To', invoice.buyer],
  ] as const) {
    write(heading, LEFT, { color: grey })
    down()
    for (const line of partyLines(party).flatMap((text) => wrap(text, RIGHT - LEFT))) {
      write(line, LEFT)
      down()
    }
    down(10)
  }
  down()
  write('Description', LEFT, { font: bold })
  writeRight('USD', bold)
  rule()
  for (const { description, cents } of invoice.lines) {
    write(description, LEFT)
    writeRight(formatCents(cents))
    down()
  }
  rule()
  write('Total', LEFT, { font: bold })
  writeRight(formatCents(invoice.totalCents), bold)
  down(40)
  for (const text of [invoice.note, invoice.footer]) {
    if (text === '') continue
    for (const line of wrap(text, RIGHT - LEFT)) {
      write(line, LEFT, { color: grey })
      down()
    }
    down(10)
  }
  return pdf.save()
}

/** Words with the space after them; one that is longer than a line could be, in parts that fit whatever letters they have. */
function pieces(text: string): string[] {
  return text.match(/\S{1,45}\s*|\s+/g) ?? []
}

/** Latin letters that aren't another with a mark, so that Unicode has nothing simpler for them. */
const PLAIN: Readonly<Record<string, string>> = {
  Ł: 'L',
  ł: 'l',
  Đ: 'D',
  đ: 'd',
  Ħ: 'H',
  ħ: 'h',
  Ŧ: 'T',
  ŧ: 't',
  ı: 'i',
  ŋ: 'n',
  ẞ: 'SS',
  ə: 'e',
}

function writable(text: string, known: ReadonlySet<number>): string {
  return [...text]
    .map((letter) => {
      if (known.has(letter.codePointAt(0)!)) return letter
      const bare = PLAIN[letter] ?? letter.normalize('NFKD').replace(/\p{M}/gu, '')
      return bare !== '' && [...bare].every((one) => known.has(one.codePointAt(0)!))
        ? bare
        : /\s/.test(letter)
          ? ' '
          : '?'
    })
    .join('')
}
