import type { keyRoutes } from '@nemo/api/keys'
import { pageOf } from '@nemo/api/page'
import type { BodyOf, ResultOf } from '@nemo/api/route'
import { emitKeyEvent } from '@nemo/postgres/key-events'
import { findTeam, lockTeam } from '@nemo/postgres/teams'
import type { Transaction } from '@nemo/postgres/tenancy'
import {
  endRotatedSecrets,
  findTenantKey,
  listTenantKeys,
  lockTenantKey,
  revokeTenantKey,
  rotateTenantKey,
  type TenantKey,
  updateTenantKey,
} from '@nemo/postgres/tenant-keys'
import { insertVirtualKey, type NewVirtualKey } from '@nemo/postgres/virtual-keys'
import type { Handlers } from '../http/call.ts'
import { conflict, notFound } from '../http/errors.ts'
import { boundsOf, type Limits, nestsBadly, setLimits, shownLimits, writtenBounds } from '../limits/named.ts'

export const keyHandlers: Handlers<typeof keyRoutes> = {
  listKeys: async ({ tenant, query: { limit, after, team_id, ...filter } }) => {
    const keys = await tenant((tx) => listTenantKeys(tx, { teamId: team_id, ...filter }, { limit: limit + 1, after }))
    return pageOf(keys.map(shown), limit)
  },

  createKey: ({ tenant, actor, body: { alias, limits, ...body }, audit }) =>
    tenant(async (tx) => {
      const { organizationId } = actor
      const made = await issue(tx, { organizationId, alias, ...(await allowedBy(tx, organizationId, body)) }, limits)
      await emitKeyEvent(tx, 'key.created', { ...made.found, organizationId })
      await audit(tx, { action: 'key.created', subject: subjectOf(made.found), after: settingsOf(made.found) })
      return { ...shown(made.found), key: made.key }
    }),

  getKey: async ({ tenant, params }) => shown(found(await tenant((tx) => findTenantKey(tx, params.id)))),

  updateKey: ({ tenant, actor, params, body: { limits = {}, ...body }, audit }) =>
    tenant(async (tx) => {
      const before = unrevoked(found(await lockTenantKey(tx, params.id)))
      const changes = { alias: body.alias, ...(await allowedBy(tx, actor.organizationId, body, before)) }
      await updateTenantKey(tx, before.id, changes).catch(aliasTaken).catch(nestsBadly('team_id'))
      await setLimits(tx, { subject: 'key', id: before.id, organizationId: actor.organizationId }, limits)
      const after = (await findTenantKey(tx, before.id))!
      const changed = differenceOf(settingsOf(before), settingsOf(after))
      if (changed) await audit(tx, { action: 'key.updated', subject: subjectOf(after), ...changed })
      return shown(after)
    }),

  duplicateKey: ({ tenant, actor, params, body, audit }) =>
    tenant(async (tx) => {
      const { organizationId } = actor
      const original = found(await findTenantKey(tx, params.id))
      // Its team may have been put away since.
      const team = (await lockTeam(tx, original.teamId)) ?? (await findTeam(tx, organizationId, 'Default'))!
      const { allowedModels, allowedEndpoints, allowedNetworks, defaultTags } = original
      const expiresAt = original.expiresAt && original.expiresAt > new Date() ? original.expiresAt : null
      const made = await issue(
        tx,
        {
          organizationId,
          alias: body.alias,
          teamId: team.id,
          expiresAt,
          allowedModels,
          allowedEndpoints,
          allowedNetworks,
          defaultTags,
        },
        boundsOf(original.limits),
      )
      await emitKeyEvent(tx, 'key.created', { ...made.found, organizationId })
      await audit(tx, {
        action: 'key.created',
        subject: subjectOf(made.found),
        after: { ...settingsOf(made.found), duplicate_of: original.id },
      })
      return { ...shown(made.found), key: made.key }
    }),

  rotateKey: ({ tenant, params, body, audit }) =>
    tenant(async (tx) => {
      const before = unrevoked(found(await lockTenantKey(tx, params.id)))
      const key = await rotateTenantKey(tx, before.id, Math.round(body.overlap_hours * 3_600))
      if (body.overlap_hours === 0) await endRotatedSecrets(tx, before.id)
      const after = (await findTenantKey(tx, before.id))!
      await audit(tx, {
        action: 'key.rotated',
        subject: subjectOf(after),
        before: { hint: before.hint },
        after: { hint: after.hint, overlap_hours: body.overlap_hours },
      })
      return { ...shown(after), key }
    }),

  revokeKey: ({ tenant, actor, params, audit }) =>
    tenant(async (tx) => {
      const before = found(await lockTenantKey(tx, params.id))
      if (await revokeTenantKey(tx, before.id)) {
        const { organizationId } = actor
        await emitKeyEvent(tx, 'key.revoked', { ...before, organizationId }, { reason: 'asked' })
        await audit(tx, { action: 'key.revoked', subject: subjectOf(before), before: { hint: before.hint } })
      }
      return shown((await findTenantKey(tx, before.id))!)
    }),
}

function found(key: TenantKey | null): TenantKey {
  if (!key) throw notFound('key')
  return key
}

function unrevoked(key: TenantKey): TenantKey {
  if (key.revokedAt) throw conflict('key_revoked', 'The key is revoked for good: create another.')
  return key
}

/** What the body says that the key is allowed. Throws a 404 for a team that there isn't. */
async function allowedBy(
  tx: Transaction,
  organizationId: string,
  body: Omit<BodyOf<(typeof keyRoutes)['createKey']>, 'alias' | 'limits'>,
  before: TenantKey | null = null,
): Promise<Omit<NewVirtualKey, 'organizationId' | 'alias' | 'limits'>> {
  const wanted = body.team_id ?? before?.teamId
  // The one that it is in may have been put away, and that is nothing new.
  const team = wanted === undefined ? await findTeam(tx, organizationId, 'Default') : await lockTeam(tx, wanted)
  if (!team && wanted !== before?.teamId) throw notFound('team')
  return {
    teamId: team?.id ?? wanted!,
    ...(body.expires_at !== undefined && { expiresAt: body.expires_at }),
    ...(body.allowed_models !== undefined && { allowedModels: orAny(body.allowed_models) }),
    ...(body.allowed_endpoints !== undefined && { allowedEndpoints: orAny(body.allowed_endpoints) }),
    ...(body.allowed_networks !== undefined && { allowedNetworks: orAny(body.allowed_networks) }),
    ...(body.default_tags !== undefined && { defaultTags: body.default_tags }),
  }
}

function orAny<T>(list: readonly T[] | null): readonly T[] | null {
  return list?.length === 0 ? null : list
}

async function issue(tx: Transaction, wanted: NewVirtualKey, limits: Limits = {}) {
  const { id, key } = await insertVirtualKey(tx, wanted).catch(aliasTaken)
  await setLimits(tx, { subject: 'key', id, organizationId: wanted.organizationId }, limits)
  return { key, found: (await findTenantKey(tx, id))! }
}

function aliasTaken(error: { code?: string; constraint?: string }): never {
  if (error.code !== '23505' || error.constraint !== 'virtual_keys_alias') throw error
  throw conflict(
    'alias_taken',
    'A key of your organization has this alias: choose another, or revoke that one.',
    'alias',
  )
}

function subjectOf({ id, alias }: TenantKey) {
  return { type: 'key', id, label: alias }
}

/** What can be set of a key, as the audit log has it. */
function settingsOf(key: TenantKey): Record<string, unknown> {
  return {
    alias: key.alias,
    hint: key.hint,
    team: key.team,
    allowed_models: key.allowedModels,
    allowed_endpoints: key.allowedEndpoints,
    allowed_networks: key.allowedNetworks,
    default_tags: key.defaultTags,
    expires_at: key.expiresAt,
    limits: writtenBounds(key.limits),
  }
}

function differenceOf(before: Record<string, unknown>, after: Record<string, unknown>) {
  const names = Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  if (names.length === 0) return null
  const only = (all: Record<string, unknown>) => Object.fromEntries(names.map((name) => [name, all[name]]))
  return { before: only(before), after: only(after) }
}

function shown(key: TenantKey): ResultOf<(typeof keyRoutes)['getKey']> {
  return {
    id: key.id,
    object: 'virtual_key',
    alias: key.alias,
    hint: key.hint,
    status: key.revokedAt ? 'revoked' : key.expiresAt && key.expiresAt <= new Date() ? 'expired' : 'active',
    team: { id: key.teamId, name: key.team },
    allowed_models: key.allowedModels && [...key.allowedModels],
    allowed_endpoints: key.allowedEndpoints && [...key.allowedEndpoints],
    allowed_networks: key.allowedNetworks && [...key.allowedNetworks],
    default_tags: [...key.defaultTags],
    limits: shownLimits(key.limits),
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    rotated_at: key.rotatedAt,
    last_used_at: key.lastUsedAt,
    rotated_secrets: key.rotatedSecrets.map(({ hint, worksUntil }) => ({ hint, works_until: worksUntil })),
  }
}
