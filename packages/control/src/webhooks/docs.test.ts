import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AuditEntry, CHAIN_BEGIN, hashOfAuditEntry } from '@nemo/domain/audit-entry'
import { EVENT_TYPES } from '@nemo/domain/webhook-events'
import { newWebhookSecret, webhookHeaders } from '@nemo/domain/webhook-signature'
import { expect, test } from 'vitest'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/audit-and-webhooks.md'), 'utf8')

/** A program of the page, as a reader would save it. */
// biome-ignore lint/suspicious/noExplicitAny: the page's code has no types
async function program(name: string): Promise<any> {
  const code = new RegExp(`\`\`\`js\\n// ${name}\\n([\\s\\S]*?)\`\`\``).exec(page)![1]!
  return import(`data:text/javascript,${encodeURIComponent(code)}`)
}

test('the page’s program takes what we sign, and nothing else', async () => {
  const { verify } = await program('verify.mjs')
  const [secret, other] = [newWebhookSecret(), newWebhookSecret()]
  const body = '{"type":"webhook.test"}'
  const headers = webhookHeaders('msg_1', new Date(), body, [secret])
  expect(verify(secret, headers, body)).toEqual({ type: 'webhook.test' })
  expect(verify(secret, webhookHeaders('msg_1', new Date(), body, [other, secret]), body)).not.toBe(null)
  expect(verify(other, headers, body)).toBe(null)
  expect(verify(secret, headers, `${body} `)).toBe(null)
  expect(verify(secret, { ...headers, 'webhook-id': 'msg_2' }, body)).toBe(null)
  expect(verify(secret, {}, body)).toBe(null)
  expect(verify(secret, webhookHeaders('msg_1', new Date(Date.now() - 400_000), body, [secret]), body)).toBe(null)
})

test('the page’s other program finds the first entry that is wrong', async () => {
  const { firstBadEntry } = await program('chain.mjs')
  const entries: AuditEntry[] = []
  for (const label of ['ü"\n', null, '😀']) {
    const { sequence, hash } = entries.at(-1) ?? CHAIN_BEGIN
    const entry: AuditEntry = {
      ...{ id: `id-${sequence}`, organization_id: null, sequence: sequence + 1, at: '2026-01-02T03:04:05.678Z' },
      ...{
        actor: { kind: 'system', id: null, label },
        address: null,
        action: 'a.b',
        subject: { type: 'key', id: null, label },
      },
      ...{ before: null, after: { 10: 1, 9: [1.5, { b: 1, a: null }] }, previous_hash: hash, hash: '' },
    }
    entries.push({ ...entry, hash: hashOfAuditEntry(entry) })
  }
  expect(firstBadEntry(entries)).toBe(null)
  expect(firstBadEntry([entries[0], { ...entries[1], address: '192.0.2.1' }, entries[2]])).toBe(2)
  expect(firstBadEntry([entries[0], entries[2]])).toBe(2)
  expect(firstBadEntry([entries[1]])).toBe(1)
})

test('the page names every event', () => {
  for (const type of Object.keys(EVENT_TYPES)) expect(page).toContain(`\`${type}\``)
})
