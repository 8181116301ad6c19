import type { leakedKeyRoutes } from '@nemo/api/leaked-keys'
import { isVirtualKey } from '@nemo/domain/virtual-key'
import { emitKeyEvent } from '@nemo/postgres/key-events'
import { inTransaction } from '@nemo/postgres/tenancy'
import { addressesOfAdmins, revokeLeakedSecret } from '@nemo/postgres/tenant-keys'
import type { Call, Handlers } from '../http/call.ts'
import { leakedKeyLetter } from './letter.ts'

export const leakedKeyHandlers: Handlers<typeof leakedKeyRoutes> = {
  reportLeakedKeys: async (call) => {
    const { body } = call
    const finds = Array.isArray(body) ? body.map(({ token, ...rest }) => ({ key: token, ...rest })) : [body]
    for (const find of finds) if (isVirtualKey(find.key)) await revoke(call, find)
    return { object: 'leak_report', status: 'received' }
  },
}

interface Find {
  readonly key: string
  readonly url?: string | null | undefined
  readonly source?: string | null | undefined
}

async function revoke(
  { control, audit }: Call<(typeof leakedKeyRoutes)['reportLeakedKeys']>,
  { key, url = null, source = null }: Find,
): Promise<void> {
  const told = await inTransaction(control.operator, async (tx) => {
    const leaked = await revokeLeakedSecret(tx, key)
    if (!leaked) return null
    const { id, organizationId, alias, hint, revoked } = leaked
    if (revoked === 'key') await emitKeyEvent(tx, 'key.revoked', leaked, { reason: 'leaked', found_at: url })
    const addresses = await addressesOfAdmins(tx, organizationId)
    await audit(tx, {
      organizationId,
      action: revoked === 'key' ? 'key.revoked' : 'key.rotated_secret_ended',
      subject: { type: 'key', id, label: alias },
      before: { hint },
      after: { reason: 'leaked', found_at: url, source },
    })
    return { leaked, addresses }
  })
  if (!told) return
  for (const to of told.addresses)
    control.mail.send(leakedKeyLetter(to, control.publicUrl, { ...told.leaked, foundAt: url }))
}
