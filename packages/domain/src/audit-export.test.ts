import { expect, test } from 'vitest'
import { type AuditEntry, CHAIN_BEGIN, faultOf, hashOfAuditEntry } from './audit-entry.ts'
import { writeAuditExport } from './audit-export.ts'

function entry(sequence: number, previous_hash: string, label: string): AuditEntry {
  const unhashed: AuditEntry = {
    id: `0192f0c4-7a3b-7c1d-9e2f-${String(sequence).padStart(12, '0')}`,
    organization_id: null,
    sequence,
    at: '2026-01-02T03:04:05.678Z',
    actor: { kind: 'user', id: 'u1', label },
    address: null,
    action: 'key.created',
    subject: { type: 'key', id: 'k1', label: null },
    before: null,
    after: { b: [1, 'x'], a: null },
    previous_hash,
    hash: '',
  }
  return { ...unhashed, hash: hashOfAuditEntry(unhashed) }
}

const first = entry(1, CHAIN_BEGIN.hash, 'ada@acme.test')
const second = entry(2, first.hash, '=HYPERLINK("http://evil.test")')

async function write(batches: AuditEntry[][], format: 'json' | 'csv'): Promise<string> {
  let text = ''
  for await (const piece of writeAuditExport(batches as never, format)) text += piece
  return text
}

test('JSON is an array with an entry on each line, whose chain can be followed', async () => {
  expect(await write([], 'json')).toBe('[]\n')
  const text = await write([[first], [second]], 'json')
  expect(text.split('\n')).toHaveLength(5)
  const read: AuditEntry[] = JSON.parse(text)
  expect(read).toEqual([first, second])
  expect(faultOf(CHAIN_BEGIN, read[0]!)).toBe(null)
  expect(faultOf(read[0]!, read[1]!)).toBe(null)
  expect(faultOf(CHAIN_BEGIN, read[1]!)).toMatchObject({ sequence: 1, id: null })
  expect(faultOf(read[0]!, { ...read[1]!, address: '192.0.2.1' })).toMatchObject({ sequence: 2, id: second.id })
})

test('CSV has the same columns in every line, and no formula', async () => {
  const lines = (await write([[first], [second]], 'csv')).split('\r\n')
  expect(lines[0]).toBe(
    'sequence,at,action,actor_kind,actor_id,actor_label,address,subject_type,subject_id,subject_label,before,after,id,organization_id,previous_hash,hash',
  )
  expect(lines[1]).toBe(
    `1,2026-01-02T03:04:05.678Z,key.created,user,u1,ada@acme.test,,key,k1,,,"{""a"":null,""b"":[1,""x""]}",${first.id},,${first.previous_hash},${first.hash}`,
  )
  expect(lines[2]).toContain(`"'=HYPERLINK(""http://evil.test"")"`)
  expect(lines).toHaveLength(4)
})
