/** What a member of an organization is there. */
export type Role = 'owner' | 'admin' | 'member' | 'viewer'

export const ROLES: readonly Role[] = ['owner', 'admin', 'member', 'viewer']

/**
 * Every permission, as `noun:verb`, under the least role that has it: each role has what those below it have. The server, the command line
 * and the dashboard read this one table.
 */
const PERMISSIONS_OF = {
  viewer: [
    'organization:read',
    'team:read',
    'member:read',
    'key:read',
    'model:read',
    'budget:read',
    'usage:read',
    'log:read',
    'billing:read',
    'guardrail:read',
    'prompt:read',
  ],
  member: [
    'key:create',
    'key:update',
    'key:rotate',
    'key:revoke',
    'prompt:create',
    'prompt:update',
    'guardrail:test',
    'playground:use',
  ],
  admin: [
    'organization:update',
    'team:create',
    'team:update',
    'team:delete',
    'member:update',
    'member:remove',
    'invitation:read',
    'invitation:create',
    'invitation:revoke',
    'budget:update',
    'guardrail:create',
    'guardrail:update',
    'guardrail:delete',
    'prompt:publish',
    'prompt:delete',
    'billing:purchase',
    'billing:update',
    'webhook:read',
    'webhook:create',
    'webhook:update',
    'webhook:delete',
    'audit:read',
    'sso:read',
    'alert:update',
    'export:update',
  ],
  // A provider vouches for owners, too: whoever names it could come as one of them.
  owner: ['organization:transfer', 'organization:delete', 'organization:export', 'sso:update'],
} as const satisfies Record<Role, readonly string[]>

export type Permission = (typeof PERMISSIONS_OF)[Role][number]

const FROM_LEAST = [...ROLES].reverse()

/** What each role may. */
export const PERMISSIONS: Readonly<Record<Role, ReadonlySet<Permission>>> = Object.fromEntries(
  ROLES.map((role) => [
    role,
    new Set(
      FROM_LEAST.slice(0, FROM_LEAST.indexOf(role) + 1).flatMap((one): readonly Permission[] => PERMISSIONS_OF[one]),
    ),
  ]),
) as unknown as Record<Role, ReadonlySet<Permission>>

export function may(role: Role, permission: Permission): boolean {
  return PERMISSIONS[role].has(permission)
}

/** Whether a member of role `one` may give or take role `other`: nobody raises anyone above himself. */
export function reaches(one: Role, other: Role): boolean {
  return ROLES.indexOf(one) <= ROLES.indexOf(other)
}
