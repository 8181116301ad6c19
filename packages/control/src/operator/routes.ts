import type { operatorRoutes } from '@nemo/api/operator'
import { pageOf } from '@nemo/api/page'
import { ApiError } from '@nemo/domain/errors'
import { formatUsd } from '@nemo/domain/money'
import { proveLedger } from '@nemo/ledger/proof'
import { appendAudit } from '@nemo/postgres/audit'
import {
  type OrganizationOverview,
  organizationOverview,
  pageOfOrganizations,
  setSuspended,
} from '@nemo/postgres/operator-organizations'
import {
  dropOperator,
  listOperators,
  makeOperator,
  type OperatorRow,
  takeOperatorClaim,
} from '@nemo/postgres/operators'
import { platformHealth } from '@nemo/postgres/platform-health'
import { readPlatformSettings, writePlatformSettings } from '@nemo/postgres/platform-settings'
import { inTransaction } from '@nemo/postgres/tenancy'
import { createUser, findAccountByEmail } from '@nemo/postgres/users'
import type { Call, Handlers } from '../http/call.ts'
import { conflict, notFound } from '../http/errors.ts'
import { hashSecret } from '../identity/secrets.ts'
import { startSession } from '../identity/start-session.ts'
import { meOf } from '../me/routes.ts'

export const operatorHandlers: Handlers<typeof operatorRoutes> = {
  claimOperator: async ({ control, body, request, reply, ip }) => {
    const passwordHash = await control.passwords.hash(body.password)
    const userId = await inTransaction(control.operator, async (tx) => {
      if (!(await takeOperatorClaim(tx, hashSecret(body.token)))) throw claimInvalid()
      const id = await createUser(tx, { email: body.email, name: body.name, passwordHash })
      if (id === null)
        throw conflict(
          'email_taken',
          'There is an account of this address: sign in, and claim it for that one.',
          'email',
        )
      await makeOperator(tx, id)
      await appendAudit(tx, {
        organizationId: null,
        actor: { kind: 'user', id, label: body.email },
        address: ip,
        action: 'operator.claimed',
        subject: { type: 'user', id, label: body.email },
      })
      return id
    })
    return meOf(await inTransaction(control.identity, (tx) => startSession(control, tx, { request, reply }, userId)))
  },

  claimOperatorForMe: async ({ control, actor, body, audit }) => {
    await inTransaction(control.operator, async (tx) => {
      if (!(await takeOperatorClaim(tx, hashSecret(body.token)))) throw claimInvalid()
      await makeOperator(tx, actor.userId)
      await audit(tx, {
        organizationId: null,
        action: 'operator.claimed',
        subject: { type: 'user', id: actor.userId, label: actor.email },
      })
    })
    return meOf({ ...actor.caller, isOperator: true })
  },

  listOperators: async ({ control }) => pageOf((await listOperators(control.operator)).map(shownOperator), 100),

  addOperator: ({ control, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const account = await findAccountByEmail(tx, body.email)
      if (!account) throw notFound('user')
      await makeOperator(tx, account.id)
      await audit(tx, {
        organizationId: null,
        action: 'operator.added',
        subject: { type: 'user', id: account.id, label: account.email },
      })
      return shownOperator((await listOperators(tx)).find(({ id }) => id === account.id)!)
    }),

  removeOperator: ({ control, params, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const dropped = await dropOperator(tx, params.id)
      if (dropped === null) throw notFound('operator')
      if (dropped === 'last')
        throw conflict('last_operator', 'The platform keeps an operator: make somebody else one first.')
      await audit(tx, { organizationId: null, action: 'operator.removed', subject: { type: 'user', id: params.id } })
      return { id: params.id, object: 'operator', deleted: true }
    }),

  operatorListOrganizations: async ({ control, query: { limit, after, q, suspended } }) => {
    const found = await pageOfOrganizations(control.operator, { text: q, suspended }, { limit: limit + 1, after })
    return pageOf(found.map(shownOrganization), limit)
  },

  operatorGetOrganization: async ({ control, params }) => {
    const found = await organizationOverview(control.operator, params.id)
    if (!found) throw notFound('organization')
    return shownOrganization(found)
  },

  operatorSuspendOrganization: (call) => suspend(call, true, call.body.reason),
  operatorUnsuspendOrganization: (call) => suspend(call, false),

  operatorGetSettings: async ({ control }) => ({
    object: 'platform_settings',
    ...(await readPlatformSettings(control.operator)),
  }),

  operatorUpdateSettings: ({ control, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const before = await readPlatformSettings(tx)
      await writePlatformSettings(tx, {
        ...(body.sign_up !== undefined && { sign_up: body.sign_up }),
        ...(body.sign_up_grant !== undefined && { sign_up_grant: formatUsd(body.sign_up_grant) }),
      })
      const after = await readPlatformSettings(tx)
      await audit(tx, {
        organizationId: null,
        action: 'platform.settings_updated',
        subject: { type: 'platform', id: null },
        before,
        after,
      })
      return { object: 'platform_settings', ...after }
    }),

  operatorGetHealth: async ({ control }) => {
    const { database, processes, cooling, webhooks, quarantinedPrices } = await platformHealth(control.operator)
    return {
      object: 'platform_health',
      database: {
        version: database.version,
        size_bytes: Number(database.bytes),
        connections: database.connections,
        connections_max: database.connectionsMax,
        round_trip_ms: database.roundTripMs,
        pending_migrations: [...database.pendingMigrations],
      },
      processes: processes.map(({ id, state, startedAt, heartbeatAt, appliedRecords }) => ({
        ...{ id, state, started_at: startedAt, heartbeat_at: heartbeatAt, applied_records: Number(appliedRecords) },
      })),
      this_process: control.gateway && {
        id: control.gateway.ledger.processId,
        active_calls: control.gateway.activeCalls,
        journal_bytes: control.gateway.ledger.journalBytes,
        journal_records: control.gateway.ledger.pending,
      },
      cooling: cooling.map(({ deploymentId, organizationId, ...rest }) => ({
        ...{ deployment_id: deploymentId, organization_id: organizationId, ...rest },
      })),
      webhooks: { pending: webhooks.pending, oldest_pending_at: webhooks.oldestPendingAt },
      quarantined_prices: quarantinedPrices,
    }
  },

  operatorProveBooks: async ({ control }) => {
    const { overspent, heldByProcesses: _, ...drifts } = await proveLedger(control.operator)
    return {
      object: 'ledger_proof',
      sound: Object.values(drifts).every((drift) => drift.length === 0),
      overspent: overspent.length,
      held_drift: drifts.heldDrift.length,
      balance_drift: drifts.balanceDrift.length,
      entry_drift: drifts.entryDrift.length,
      purchase_drift: drifts.purchaseDrift.length,
    }
  },
}

/** The same for a wrong token, one that ran out, and any once there is an operator. */
function claimInvalid(): ApiError {
  return new ApiError(
    400,
    'claim_invalid',
    'The token is wrong, has run out, or was used: start nemo again for another.',
    {
      param: 'token',
    },
  )
}

type Suspending =
  | Call<(typeof operatorRoutes)['operatorUnsuspendOrganization']>
  | Call<(typeof operatorRoutes)['operatorSuspendOrganization']>

function suspend({ control, params, audit }: Suspending, suspended: boolean, reason?: string) {
  return inTransaction(control.operator, async (tx) => {
    const changed = await setSuspended(tx, params.id, suspended)
    const found = await organizationOverview(tx, params.id)
    if (!found) throw notFound('organization')
    if (changed) {
      await audit(tx, {
        organizationId: params.id,
        action: suspended ? 'organization.suspended' : 'organization.unsuspended',
        subject: { type: 'organization', id: params.id, label: found.name },
        ...(reason !== undefined && { after: { reason } }),
      })
    }
    return shownOrganization(found)
  })
}

function shownOperator({ id, email, name, totpEnabled, createdAt }: OperatorRow) {
  return { id, object: 'operator' as const, email, name, totp_enabled: totpEnabled, created_at: createdAt }
}

function shownOrganization(found: OrganizationOverview) {
  return {
    id: found.id,
    object: 'organization' as const,
    name: found.name,
    slug: found.slug,
    tier: found.tierId,
    balance: found.balanceNanos,
    members: found.members,
    active_keys: found.activeKeys,
    created_at: found.createdAt,
    suspended_at: found.suspendedAt,
    delete_after: found.deleteAfter,
    deleted_at: found.deletedAt,
  }
}
