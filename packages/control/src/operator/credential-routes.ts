import type { operatorProviderRoutes } from '@nemo/api/operator-providers'
import { pageOf } from '@nemo/api/page'
import { invalidRequest } from '@nemo/domain/errors'
import { servedModels } from '@nemo/domain/price-book/snapshot'
import { seal, unseal } from '@nemo/domain/vault'
import { deploy } from '@nemo/postgres/catalogue'
import {
  type CredentialRow,
  createCredential,
  deleteCredential,
  findCredential,
  lockCredential,
  pageOfCredentials,
  sealedSecretOf,
  updateCredential,
} from '@nemo/postgres/provider-credentials'
import { inTransaction } from '@nemo/postgres/tenancy'
import type { Control } from '../control.ts'
import type { ClearCredential, ProviderDesk, Tested } from '../gateway-beside.ts'
import type { Handlers } from '../http/call.ts'
import { conflict, found } from '../http/errors.ts'

export const operatorProviderHandlers: Handlers<typeof operatorProviderRoutes> = {
  operatorListProviderTypes: async ({ control }) => ({
    object: 'list',
    data: deskOf(control).types.map(({ baseUrl, settings, ...type }) => ({
      ...type,
      base_url: baseUrl,
      settings: [...settings],
    })),
  }),

  operatorListCredentials: async ({ control, query: { limit, after } }) =>
    pageOf((await pageOfCredentials(control.operator, { limit: limit + 1, after })).map(shown), limit),

  operatorGetCredential: async ({ control, params }) =>
    shown(found('credential', await findCredential(control.operator, params.id))),

  operatorCreateCredential: async ({ control, body, audit }) => {
    const { name, provider, base_url: baseUrl, settings, secret } = body
    insist(control, { name, provider, baseUrl, settings, secret })
    return inTransaction(control.operator, async (tx) => {
      const sealed = secret === null ? null : seal(control.masterKey, secret, name)
      const id = await createCredential(tx, { name, provider, baseUrl, settings, secret: sealed })
      if (id === null) throw conflict('name_taken', `There is a credential called ${name}.`, 'name')
      const models = body.deploy_known_models ? servedModels(provider) : []
      for (const model of models) await deploy(tx, id, model)
      const made = found('credential', await findCredential(tx, id))
      await audit(tx, {
        action: 'provider.added',
        subject: subjectOf(made),
        after: { ...auditedOf(made), deployments: made.deployments },
      })
      return shown(made)
    })
  },

  operatorUpdateCredential: ({ control, params, body: { secret, ...body }, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const before = found('credential', await lockCredential(tx, params.id))
      const place = {
        baseUrl: body.base_url === undefined ? before.baseUrl : body.base_url,
        settings: body.settings ?? before.settings,
      }
      const moves = !isSamePlace(place, before)
      // Whoever can say where it goes could read it there.
      if (moves && before.hasSecret && secret === undefined)
        throw invalidRequest('secret', 'The secret that is stored was given for another place: give it again.')
      if (moves || secret !== undefined)
        insist(control, { name: before.name, provider: before.provider, ...place, secret: secret ?? null })
      const sealed = secret == null ? null : seal(control.masterKey, secret, before.name)
      await updateCredential(tx, before.id, { ...place, ...(secret !== undefined && { secret: sealed }) })
      const after = found('credential', await findCredential(tx, before.id))
      await audit(tx, {
        action: 'provider.updated',
        subject: subjectOf(after),
        before: auditedOf(before),
        after: { ...auditedOf(after), has_new_secret: sealed !== null },
      })
      return shown(after)
    }),

  operatorDeleteCredential: ({ control, params, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const gone = found('credential', await lockCredential(tx, params.id))
      if (gone.deployments > 0)
        throw conflict('credential_in_use', `There are ${gone.deployments} deployments on it: delete those first.`)
      await deleteCredential(tx, gone.id)
      await audit(tx, { action: 'provider.removed', subject: subjectOf(gone), before: auditedOf(gone) })
      return { id: gone.id, object: 'provider_credential', deleted: true }
    }),

  operatorTestCredential: async ({ control, params }) => {
    const desk = deskOf(control)
    const { name, provider, baseUrl, settings } = found('credential', await findCredential(control.operator, params.id))
    const sealed = await sealedSecretOf(control.operator, params.id)
    let secret: string | null
    try {
      secret = sealed && unseal(control.masterKey, sealed, name)
    } catch (error) {
      return outcomeOf({ outcome: 'unclear', message: `${(error as Error).message}.`, status: null, latencyMs: 0 })
    }
    return outcomeOf(await desk.test({ name, provider, baseUrl, settings, secret }))
  },

  operatorTestNewCredential: async ({ control, body: { provider, base_url: baseUrl, settings, secret } }) => {
    const credential = { name: 'new', provider, baseUrl, settings, secret }
    insist(control, credential)
    return outcomeOf(await deskOf(control).test(credential))
  },
}

/** Throws a 409 in a process without a data plane, which alone knows providers. */
function deskOf({ gateway }: Control): ProviderDesk {
  if (gateway) return gateway.providers
  throw conflict('gateway_elsewhere', 'This process has no gateway, which knows providers: ask one that has.')
}

/** Throws a 400 that names what is missing or wrong. */
function insist(control: Control, credential: ClearCredential): void {
  const problem = deskOf(control).check(credential)
  if (problem) throw invalidRequest(problem.param, problem.message)
}

type Place = Pick<CredentialRow, 'baseUrl' | 'settings'>

function isSamePlace(one: Place, other: Place): boolean {
  const textOf = ({ baseUrl, settings }: Place) => JSON.stringify([baseUrl, Object.entries(settings).sort()])
  return textOf(one) === textOf(other)
}

function subjectOf({ id, name }: CredentialRow) {
  return { type: 'provider', id, label: name }
}

function auditedOf({ provider, baseUrl, settings, hasSecret }: CredentialRow) {
  return { provider, base_url: baseUrl, settings, has_secret: hasSecret }
}

function shown(row: CredentialRow) {
  return {
    id: row.id,
    object: 'provider_credential' as const,
    name: row.name,
    provider: row.provider,
    base_url: row.baseUrl,
    settings: { ...row.settings },
    has_secret: row.hasSecret,
    deployments: row.deployments,
    created_at: row.createdAt,
  }
}

function outcomeOf({ outcome, message, status, latencyMs }: Tested) {
  return { object: 'credential_test' as const, outcome, message, status, latency_ms: latencyMs }
}
