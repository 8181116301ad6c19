import type { operatorDeploymentRoutes } from '@nemo/api/operator-deployments'
import { pageOf } from '@nemo/api/page'
import type { OfferedModel } from '@nemo/domain/catalogue'
import { invalidRequest } from '@nemo/domain/errors'
import { snapshotModels } from '@nemo/domain/price-book/snapshot'
import { saveModel } from '@nemo/postgres/catalogue'
import {
  createDeployment,
  type DeploymentChanges,
  type DeploymentRow,
  deleteDeployment,
  findDeployment,
  lockDeployment,
  pageOfDeployments,
  updateDeployment,
} from '@nemo/postgres/deployments'
import {
  createGroup,
  deleteGroup,
  findGroup,
  holdGroup,
  lockGroup,
  type ModelGroupRow,
  pageOfGroups,
  setGroupChain,
  sharedGroup,
} from '@nemo/postgres/model-groups'
import { findModel } from '@nemo/postgres/models'
import { organizationOverview } from '@nemo/postgres/operator-organizations'
import { holdCredential } from '@nemo/postgres/provider-credentials'
import { inTransaction, type Transaction } from '@nemo/postgres/tenancy'
import type { Call, Handlers } from '../http/call.ts'
import { conflict, found } from '../http/errors.ts'

type Routes = typeof operatorDeploymentRoutes

export const operatorDeploymentHandlers: Handlers<Routes> = {
  operatorListGroups: async ({ control, query: { limit, after, q, organization_id: organizationId } }) => {
    const groups = await pageOfGroups(control.operator, { text: q, organizationId }, { limit: limit + 1, after })
    return pageOf(groups.map(shownGroup), limit)
  },

  operatorGetGroup: async ({ control, params }) =>
    shownGroup(found('group', await findGroup(control.operator, params.id))),

  operatorCreateGroup: ({ control, body: { name, organization_id: organizationId, chain }, audit }) =>
    inTransaction(control.operator, async (tx) => {
      if (organizationId !== null && !(await organizationOverview(tx, organizationId)))
        throw invalidRequest('organization_id', 'There is no such organization.')
      const id = await createGroup(tx, { name, organizationId, chain })
      if (id === null) throw conflict('name_taken', `There is a group called ${name}.`, 'name')
      const made = found('group', await findGroup(tx, id))
      await audit(tx, {
        action: 'group.created',
        subject: groupSubject(made),
        after: { chain, organization_id: organizationId },
      })
      return shownGroup(made)
    }),

  operatorUpdateGroup: ({ control, params, body: { chain }, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const before = found('group', await lockGroup(tx, params.id))
      await setGroupChain(tx, before.id, chain)
      await audit(tx, {
        action: 'group.updated',
        subject: groupSubject(before),
        before: { chain: before.chain },
        after: { chain },
      })
      return shownGroup({ ...before, chain })
    }),

  operatorDeleteGroup: ({ control, params, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const gone = found('group', await lockGroup(tx, params.id))
      if (gone.deployments > 0)
        throw conflict('group_in_use', `There are ${gone.deployments} deployments in it: delete those first.`)
      await deleteGroup(tx, gone.id)
      await audit(tx, { action: 'group.deleted', subject: groupSubject(gone), before: { chain: gone.chain } })
      return { id: gone.id, object: 'model_group', deleted: true }
    }),

  operatorListDeployments: async ({ control, query: { limit, after, group_id, credential_id, model_id } }) => {
    const filter = { groupId: group_id, credentialId: credential_id, modelId: model_id }
    return pageOf(
      (await pageOfDeployments(control.operator, filter, { limit: limit + 1, after })).map(shownDeployment),
      limit,
    )
  },

  operatorGetDeployment: async ({ control, params }) =>
    shownDeployment(found('deployment', await findDeployment(control.operator, params.id))),

  operatorCreateDeployment: ({ control, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      if (!(await holdCredential(tx, body.credential_id)))
        throw invalidRequest('credential_id', 'There is no such credential.')
      const known = snapshotModels().find(({ id }) => id === body.model_id)
      await insistOnModel(tx, body.model_id, known)
      const place = {
        groupId: await groupOf(tx, body, known),
        credentialId: body.credential_id,
        modelId: body.model_id,
        upstreamModel: body.upstream_model ?? known?.upstreamModel ?? body.model_id.replace(/^[^/]*\//, ''),
      }
      const id = await createDeployment(tx, place, changesOf(body))
      if (id === null)
        throw conflict('deployment_exists', `That credential serves ${place.upstreamModel} in that group already.`)
      const made = found('deployment', await findDeployment(tx, id))
      await audit(tx, { action: 'deployment.created', subject: deploymentSubject(made), after: auditedOf(made) })
      return shownDeployment(made)
    }),

  operatorUpdateDeployment: ({ control, params, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const before = found('deployment', await lockDeployment(tx, params.id))
      await updateDeployment(tx, before.id, changesOf(body))
      const after = found('deployment', await findDeployment(tx, before.id))
      await audit(tx, {
        action: 'deployment.updated',
        subject: deploymentSubject(after),
        before: auditedOf(before),
        after: auditedOf(after),
      })
      return shownDeployment(after)
    }),

  operatorDeleteDeployment: ({ control, params, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const gone = found('deployment', await lockDeployment(tx, params.id))
      await deleteDeployment(tx, gone.id)
      await audit(tx, { action: 'deployment.deleted', subject: deploymentSubject(gone), before: auditedOf(gone) })
      return { id: gone.id, object: 'deployment', deleted: true }
    }),
}

/** What this release knows comes into the catalogue with its price; what is in it stays as it is. */
async function insistOnModel(tx: Transaction, id: string, known: OfferedModel | undefined): Promise<void> {
  if (await findModel(tx, id)) return
  if (!known)
    throw invalidRequest('model_id', 'There is no such model: POST /api/operator/models adds one with its price.')
  await saveModel(tx, known)
}

async function groupOf(
  tx: Transaction,
  { group, group_id }: Call<Routes['operatorCreateDeployment']>['body'],
  known: OfferedModel | undefined,
): Promise<string> {
  if (group_id !== undefined) {
    if (!(await holdGroup(tx, group_id))) throw invalidRequest('group_id', 'There is no such group.')
    return group_id
  }
  const name = group ?? known?.group
  if (name === undefined) throw invalidRequest('group', 'Say the name that callers ask for.')
  return sharedGroup(tx, name)
}

function changesOf(body: Call<Routes['operatorUpdateDeployment']>['body']): DeploymentChanges {
  const { weight, enabled, requests_per_minute: requestsPerMinute, tokens_per_minute: tokensPerMinute } = body
  return {
    ...(weight !== undefined && { weight }),
    ...(enabled !== undefined && { enabled }),
    ...(requestsPerMinute !== undefined && { requestsPerMinute }),
    ...(tokensPerMinute !== undefined && { tokensPerMinute }),
  }
}

function groupSubject({ id, name }: ModelGroupRow) {
  return { type: 'group', id, label: name }
}

function deploymentSubject({ id, group, credential, upstreamModel }: DeploymentRow) {
  return { type: 'deployment', id, label: `${group}: ${credential}/${upstreamModel}` }
}

function auditedOf(row: DeploymentRow) {
  return {
    model_id: row.modelId,
    weight: row.weight,
    requests_per_minute: row.requestsPerMinute,
    tokens_per_minute: row.tokensPerMinute,
    enabled: row.enabled,
  }
}

function shownGroup(row: ModelGroupRow) {
  return {
    id: row.id,
    object: 'model_group' as const,
    name: row.name,
    organization_id: row.organizationId,
    chain: [...row.chain],
    deployments: row.deployments,
    created_at: row.createdAt,
  }
}

function shownDeployment(row: DeploymentRow) {
  return {
    id: row.id,
    object: 'deployment' as const,
    group_id: row.groupId,
    group: row.group,
    organization_id: row.organizationId,
    credential_id: row.credentialId,
    credential: row.credential,
    model_id: row.modelId,
    upstream_model: row.upstreamModel,
    weight: row.weight,
    requests_per_minute: row.requestsPerMinute,
    tokens_per_minute: row.tokensPerMinute,
    enabled: row.enabled,
    has_price: row.hasPrice,
    created_at: row.createdAt,
  }
}
