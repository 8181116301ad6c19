import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openMail } from './open-mail.ts'

let server: Server
let smtpUrl: string
let folder: string
let sessions: string[]
let refuses = false
let warnings: object[]
const log = { warn: (context: object, message: string) => warnings.push({ ...context, message }) }

const letter = {
  to: 'ada@example.com',
  subject: 'Confirm your e-mail address',
  text: 'Follow https://x/#token=planted-secret\n',
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nemo-mail-'))
  server = createServer(converse).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  smtpUrl = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`
})
beforeEach(() => {
  sessions = []
  warnings = []
  refuses = false
})
afterAll(async () => {
  server?.close()
  await rm(folder, { recursive: true, force: true })
})

/** As much of RFC 5321 as one mail needs. */
function converse(socket: Socket): void {
  let said = ''
  let isData = false
  socket.write('220 here\r\n')
  socket.on('data', (chunk) => {
    for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
      said += `${line}\n`
      if (isData) {
        if (line !== '.') continue
        isData = false
        sessions.push(said)
        socket.write('250 taken\r\n')
      } else if (/^RCPT/.test(line) && refuses) socket.write('550 no ada@example.com here\r\n')
      else if (line === 'DATA') {
        isData = true
        socket.write('354 go on\r\n')
      } else if (line === 'QUIT') socket.end('221 bye\r\n')
      else socket.write('250 yes\r\n')
    }
  })
  socket.on('error', () => {})
}

test('mail goes out by SMTP, from whom the operator said', async () => {
  const mail = openMail({ smtpUrl, from: 'Nemo <nemo@example.com>', mailboxFolder: folder, log })
  mail.send(letter)
  await mail.close()
  expect(sessions).toHaveLength(1)
  expect(sessions[0]).toContain('MAIL FROM:<nemo@example.com>')
  expect(sessions[0]).toContain('RCPT TO:<ada@example.com>')
  expect(sessions[0]).toMatch(/Subject: Confirm your e-mail address[\s\S]*planted-secret/)
  expect(warnings).toEqual([])
})

test('a mail that can’t be sent is told without its text and its receiver, and stops nothing', async () => {
  refuses = true
  const mail = openMail({ smtpUrl, from: 'nemo@example.com', mailboxFolder: folder, log })
  mail.send(letter)
  await mail.close()
  expect(warnings).toEqual([
    {
      message: 'a mail could not be sent',
      subject: letter.subject,
      code: 'EENVELOPE',
      response_code: 550,
      command: 'RCPT TO',
    },
  ])
})

test('without SMTP each mail is a file that only its owner reads', async () => {
  const mail = openMail({ smtpUrl: null, from: 'nemo@example.com', mailboxFolder: join(folder, 'mailbox'), log })
  const letters = [letter, { ...letter, to: 'grace@example.com' }]
  for (const each of letters) mail.send(each)
  await mail.settled()
  const paths = (await readdir(join(folder, 'mailbox'))).map((name) => join(folder, 'mailbox', name))
  const written = await Promise.all(paths.map(async (path) => JSON.parse(await readFile(path, 'utf8'))))
  const byReceiver = written.sort((a, b) => (a.to < b.to ? -1 : 1))
  expect(byReceiver).toEqual(letters.map((each) => ({ from: 'nemo@example.com', ...each })))
  const path = paths[0]!
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await stat(join(folder, 'mailbox'))).mode & 0o777).toBe(0o700)
})
