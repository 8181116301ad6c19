import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { uuidv7 } from '@nemo/domain/ids'
import { createTransport } from 'nodemailer'
import type { ControlLog } from '../control.ts'
import type { Letter, Mail } from './mail.ts'

export interface MailOptions {
  /** smtp://user:password@host:587, or smtps://; null writes each mail to a file of the mailbox instead. */
  readonly smtpUrl: string | null
  readonly from: string
  readonly mailboxFolder: string
  readonly log: Pick<ControlLog, 'warn'>
}

/** The way by which mail leaves: SMTP, or where there is none a folder with a JSON file for each, which the operator or a test reads. */
export function openMail({ smtpUrl, from, mailboxFolder, log }: MailOptions): Mail {
  const transport = smtpUrl === null ? null : createTransport(smtpUrl, { from })
  const deliver = transport
    ? async (letter: Letter) => void (await transport.sendMail({ ...letter }))
    : (letter: Letter) => putIntoMailbox(mailboxFolder, { from, ...letter })
  const underWay = new Set<Promise<void>>()
  return {
    send(letter) {
      const sent = deliver(letter).catch((error: { code?: string; responseCode?: number; command?: string }) => {
        // Not the error itself: servers repeat the address. Nor the text: links in it are secrets.
        const { code, responseCode, command } = error
        log.warn({ subject: letter.subject, code, response_code: responseCode, command }, 'a mail could not be sent')
      })
      underWay.add(sent)
      void sent.finally(() => underWay.delete(sent))
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
    async close() {
      await this.settled()
      transport?.close()
    },
  }
}

async function putIntoMailbox(folder: string, letter: Letter & { from: string }): Promise<void> {
  const path = join(folder, uuidv7())
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(path, `${JSON.stringify(letter, null, 2)}\n`, { mode: 0o600 })
  // Whoever watches the folder for .json reads whole ones.
  await rename(path, `${path}.json`)
}
