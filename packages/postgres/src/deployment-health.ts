import type pg from 'pg'

/** A deployment that is left out for so long from now; not any more where that is 0, or less. Without an organization, for everyone. */
export interface StoredHealth {
  readonly organizationId: string | null
  readonly deploymentId: string
  readonly coolingMs: number
  readonly asked: boolean
}

/** Keeps changes and tells every process of them, on the channel `health`. What Postgres can't keep of a provider's words (NUL, half a surrogate pair) is left out: one such would keep all from being told. */
export async function shareDeploymentHealth(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  changes: readonly (StoredHealth & { readonly fault: string })[],
): Promise<void> {
  const storable = changes.map((change) => ({ ...change, fault: change.fault.replaceAll('\0', '').toWellFormed() }))
  await app.query('select share_deployment_health($1, $2)', [processId, JSON.stringify(storable)])
}

/** What is left out now, or was and hasn't been tried since. */
export async function coolingDeployments(app: Pick<pg.Pool, 'query'>): Promise<StoredHealth[]> {
  const { rows } = await app.query('select * from cooling_deployments()')
  return rows.map((row) => ({
    organizationId: row.organization_id,
    deploymentId: row.deployment_id,
    coolingMs: row.cooling_ms,
    asked: row.asked,
  }))
}

/** Whether this process is the one that may try a deployment whose cooldown is over. */
export async function claimProbe(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  { organizationId, deploymentId }: Pick<StoredHealth, 'organizationId' | 'deploymentId'>,
): Promise<boolean> {
  const { rows } = await app.query('select claim_probe($1, $2, $3) as granted', [
    processId,
    organizationId,
    deploymentId,
  ])
  return rows[0].granted
}
