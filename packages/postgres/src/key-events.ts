import type { Transaction } from './tenancy.ts'
import { emitEvent } from './webhook-events.ts'

/** Tells webhooks of a key, in the transaction of what happened to it. As nemo_app of the organization, or as the operator. */
export async function emitKeyEvent(
  tx: Transaction,
  type: 'key.created' | 'key.revoked',
  key: {
    readonly id: string
    readonly organizationId: string
    readonly teamId: string
    readonly alias: string
    readonly hint: string
  },
  more: object = {},
): Promise<void> {
  const { id, organizationId, teamId, alias, hint } = key
  await emitEvent(tx, { organizationId, type, data: { key_id: id, alias, hint, team_id: teamId, ...more } })
}
