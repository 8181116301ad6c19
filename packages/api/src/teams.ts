import { z } from 'zod'
import { route } from './route.ts'
import { deleted, id, idParams, listOf, listQuery, name, time } from './schema.ts'

export const team = z.object({ id, object: z.literal('team'), name, is_default: z.boolean(), created_at: time })

export const teamRoutes = {
  listTeams: route({
    method: 'GET',
    path: '/api/teams',
    access: { permission: 'team:read' },
    summary: 'The teams of your organization, oldest first',
    query: listQuery,
    response: listOf(team),
  }),
  createTeam: route({
    method: 'POST',
    path: '/api/teams',
    access: { permission: 'team:create' },
    summary: 'Create a team',
    body: z.strictObject({ name }),
    example: { name: 'Research' },
    response: team,
    status: 201,
    errors: ['409 name_taken'],
  }),
  getTeam: route({
    method: 'GET',
    path: '/api/teams/:id',
    access: { permission: 'team:read' },
    summary: 'A team',
    params: idParams,
    response: team,
  }),
  updateTeam: route({
    method: 'PATCH',
    path: '/api/teams/:id',
    access: { permission: 'team:update' },
    summary: 'Rename a team',
    params: idParams,
    body: z.strictObject({ name }),
    example: { name: 'Research and development' },
    response: team,
    errors: ['409 name_taken', '409 default_team'],
  }),
  deleteTeam: route({
    method: 'DELETE',
    path: '/api/teams/:id',
    access: { permission: 'team:delete' },
    summary: 'Delete a team that has no keys in use',
    params: idParams,
    response: deleted('team'),
    errors: ['409 default_team', '409 team_in_use'],
  }),
}
