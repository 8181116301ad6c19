import { invalidRequest } from '@nemo/domain/errors'
import type { RoutingSettings } from '@nemo/domain/routing-settings'
import type { Transaction } from './tenancy.ts'

const NAMES_TOLD = 5

interface Group {
  readonly name: string
  readonly isOwn: boolean
  /** Ids, and `provider/model`. */
  readonly deployments: readonly string[]
}

/**
 * Throws a 400 whose `param` is the path of a group or a deployment that the organization doesn't have: a drop that names nothing drops nothing, and would be found out by where calls went. As the
 * operator, or as nemo_app of its own. What goes away later is passed over, not refused.
 */
export async function refuseUnknownNames(
  tx: Transaction,
  organizationId: string,
  { groups = {} }: RoutingSettings,
): Promise<void> {
  const overrides = Object.entries(groups)
  if (overrides.length === 0) return
  const names = new Set(overrides.flatMap(([name, { chain = [] }]) => [name, ...chain]))
  const known = await groupsNamed(tx, organizationId, [...names])
  for (const [name, { chain = [], drop = [], weights = {} }] of overrides) {
    const path = `routing.groups.${name}`
    const group = known.get(name)
    if (!group) throw noGroup(path, name)
    for (const [i, next] of chain.entries()) {
      if (!known.has(next)) throw noGroup(`${path}.chain[${i}]`, next)
    }
    for (const [i, deployment] of drop.entries()) refuseStranger(group, deployment, `${path}.drop[${i}]`)
    for (const deployment of Object.keys(weights)) refuseStranger(group, deployment, `${path}.weights.${deployment}`)
  }
}

/** Those that the organization means by the names: its own before everyone's. */
async function groupsNamed(
  tx: Transaction,
  organizationId: string,
  names: readonly string[],
): Promise<Map<string, Group>> {
  const { rows } = await tx.query(
    `select g.name, g.organization_id is not null as "isOwn",
            coalesce(array_agg(d.id::text) filter (where d.id is not null), '{}')
              || coalesce(array_agg(m.provider || '/' || d.upstream_model) filter (where d.id is not null), '{}') as deployments
       from model_groups g left join deployments d on d.group_id = g.id left join models m on m.id = d.model_id
      where g.name = any ($2) and (g.organization_id is null or g.organization_id = $1)
      group by g.id order by g.organization_id nulls first`,
    [organizationId, names],
  )
  return new Map(rows.map((row: Group) => [row.name, row]))
}

function noGroup(path: string, name: string) {
  return invalidRequest(path, `There is no model group "${name}".`)
}

function refuseStranger({ name, deployments }: Group, deployment: string, path: string): void {
  if (deployments.includes(deployment)) return
  const names = [...new Set(deployments.filter((one) => one.includes('/')))]
  const some = names.length > NAMES_TOLD ? [...names.slice(0, NAMES_TOLD), '…'] : names
  throw invalidRequest(path, `The group "${name}" has no deployment "${deployment}". It has: ${some.join(', ')}.`)
}
