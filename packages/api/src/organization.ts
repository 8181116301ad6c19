import { z } from 'zod'
import { route } from './route.ts'
import { id, name, time, usd } from './schema.ts'

export const organization = z.object({
  id,
  object: z.literal('organization'),
  name,
  slug: z.string(),
  balance: usd,
  suspended: z.boolean(),
  delete_after: time.nullable(),
  created_at: time,
})

export const organizationRoutes = {
  foundOrganization: route({
    method: 'POST',
    path: '/api/organizations',
    access: 'session',
    summary: 'Found an organization, where you belong to none: you own it',
    body: z.strictObject({ name }),
    example: { name: 'Acme' },
    response: organization,
    status: 201,
    errors: ['409 has_organization'],
    limits: [{ by: 'user', max: 10, seconds: 3600 }],
  }),
  getOrganization: route({
    method: 'GET',
    path: '/api/organization',
    access: { permission: 'organization:read' },
    summary: 'Your organization',
    response: organization,
  }),
  updateOrganization: route({
    method: 'PATCH',
    path: '/api/organization',
    access: { permission: 'organization:update' },
    summary: 'Rename your organization',
    body: z.strictObject({ name }),
    example: { name: 'Acme' },
    response: organization,
  }),
  transferOrganization: route({
    method: 'POST',
    path: '/api/organization/transfer',
    access: { permission: 'organization:transfer' },
    summary: 'Hand your ownership to another member, and be an admin',
    body: z.strictObject({ user_id: id }),
    example: { user_id: '01890000-0000-7000-8000-000000000000' },
    response: organization,
    errors: ['404 not_found', '409 already_owner'],
  }),
  leaveOrganization: route({
    method: 'POST',
    path: '/api/organization/leave',
    access: 'session',
    summary: 'Leave your organization: your personal tokens end',
    response: z.object({ object: z.literal('member'), deleted: z.literal(true) }),
    errors: ['403 no_organization', '409 last_owner'],
  }),
  deleteOrganization: route({
    method: 'POST',
    path: '/api/organization/delete',
    access: { permission: 'organization:delete' },
    summary: 'Have your organization deleted in 30 days: its keys stop at once, and until then it can be taken back',
    description:
      'What is personal is deleted then, the accounts of its members included. Ledger entries, invoices and the audit log are kept, as the law wants them to be, and request logs without names.',
    body: z.strictObject({
      slug: z.string().max(63).meta({ description: 'The slug of your organization, so that it is no slip' }),
    }),
    example: { slug: 'acme' },
    response: organization,
    errors: ['400 invalid_request'],
  }),
  restoreOrganization: route({
    method: 'POST',
    path: '/api/organization/restore',
    access: { permission: 'organization:delete' },
    summary: 'Take the deletion back',
    response: organization,
    errors: ['409 deletion_begun'],
  }),
  exportOrganization: route({
    method: 'GET',
    path: '/api/organization/export',
    access: { permission: 'organization:export' },
    summary: 'All that is stored of your organization, as JSON',
    response: 'application/json',
    errors: ['429 export_under_way'],
    limits: [{ by: 'user', max: 10, seconds: 3600 }],
  }),
}
