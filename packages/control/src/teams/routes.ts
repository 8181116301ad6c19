import { pageOf } from '@nemo/api/page'
import type { team, teamRoutes } from '@nemo/api/teams'
import { archiveTeam, createTeam, lockTeam, pageOfTeams, renameTeam, type TeamRow } from '@nemo/postgres/teams'
import type { Transaction } from '@nemo/postgres/tenancy'
import type { z } from 'zod'
import type { Handlers } from '../http/call.ts'
import { conflict, notFound } from '../http/errors.ts'

const DEFAULT = 'Default'

export const teamHandlers: Handlers<typeof teamRoutes> = {
  listTeams: async ({ tenant, query }) => {
    const teams = await tenant((tx) => pageOfTeams(tx, query))
    return pageOf(teams.map(write), query.limit)
  },

  createTeam: ({ tenant, actor, body, audit }) =>
    tenant(async (tx) => {
      const created = await createTeam(tx, actor.organizationId, body.name).catch(nameTaken)
      await audit(tx, { action: 'team.created', subject: subjectOf(created), after: { name: body.name } })
      return write(created)
    }),

  getTeam: ({ tenant, params }) => tenant(async (tx) => write(await found(tx, params.id))),

  updateTeam: ({ tenant, params, body, audit }) =>
    tenant(async (tx) => {
      const before = await found(tx, params.id)
      refuseDefault(before)
      await renameTeam(tx, before.id, body.name).catch(nameTaken)
      await audit(tx, {
        action: 'team.updated',
        subject: subjectOf(before),
        before: { name: before.name },
        after: { name: body.name },
      })
      return write({ ...before, name: body.name })
    }),

  deleteTeam: ({ tenant, params, audit }) =>
    tenant(async (tx) => {
      const before = await found(tx, params.id)
      refuseDefault(before)
      if (!(await archiveTeam(tx, before.id)))
        throw conflict('team_in_use', 'Keys of this team are in use: revoke them, or move them to another team.')
      await audit(tx, { action: 'team.deleted', subject: subjectOf(before), before: { name: before.name } })
      return { id: before.id, object: 'team', deleted: true }
    }),
}

async function found(tx: Transaction, id: string): Promise<TeamRow> {
  const row = await lockTeam(tx, id)
  if (!row) throw notFound('team')
  return row
}

function refuseDefault({ name }: TeamRow): void {
  if (name === DEFAULT) throw conflict('default_team', 'The Default team stays as it is.')
}

function nameTaken(error: { code?: string }): never {
  if (error.code === '23505') throw conflict('name_taken', 'There is a team of this name.', 'name')
  throw error
}

function subjectOf({ id, name }: TeamRow) {
  return { type: 'team', id, label: name }
}

function write(row: TeamRow): z.input<typeof team> {
  return { id: row.id, object: 'team', name: row.name, is_default: row.name === DEFAULT, created_at: row.createdAt }
}
