import { CHAIN_MAX } from '@nemo/domain/routing-settings'
import { z } from 'zod'
import { route } from './route.ts'
import { count, deleted, id, idParams, listOf, listQuery, time, word } from './schema.ts'

const group = z.object({
  id,
  object: z.literal('model_group'),
  name: z.string(),
  organization_id: id.nullable().meta({ description: 'Whose it is; null for everyone’s' }),
  chain: z.array(z.string()).meta({ description: 'The names of the groups to fall back to, in their order' }),
  deployments: z.number().int(),
  created_at: time,
})
const chain = z.array(word).max(CHAIN_MAX)

const deployment = z.object({
  id,
  object: z.literal('deployment'),
  group_id: id,
  group: z.string(),
  organization_id: id.nullable(),
  credential_id: id,
  credential: z.string(),
  model_id: z.string(),
  upstream_model: z.string().meta({ description: 'What the provider calls it' }),
  weight: z.number().int(),
  requests_per_minute: z.number().nullable().meta({ description: 'What the provider allows this credential' }),
  tokens_per_minute: z.number().nullable(),
  enabled: z.boolean(),
  has_price: z.boolean().meta({ description: 'Without one it can’t be called' }),
  created_at: time,
})
const deploymentInput = {
  weight: count(1_000_000).optional(),
  requests_per_minute: count(1_000_000_000_000).nullable().optional(),
  tokens_per_minute: count(1_000_000_000_000).nullable().optional(),
  enabled: z.boolean().optional(),
}

const access = 'operator'

export const operatorDeploymentRoutes = {
  operatorListGroups: route({
    method: 'GET',
    path: '/api/operator/groups',
    access,
    summary: 'Model groups, the names that callers ask for, newest first',
    query: listQuery.extend({
      q: word.optional().meta({ description: 'A part of the name' }),
      organization_id: id.optional(),
    }),
    response: listOf(group),
  }),
  operatorGetGroup: route({
    method: 'GET',
    path: '/api/operator/groups/:id',
    access,
    summary: 'One model group',
    params: idParams,
    response: group,
  }),
  operatorCreateGroup: route({
    method: 'POST',
    path: '/api/operator/groups',
    access,
    summary: 'Make a model group, everyone’s or one organization’s own',
    description: 'An organization that has one of a name means it, and not everyone’s.',
    body: z.strictObject({ name: word, organization_id: id.nullable().default(null), chain: chain.default([]) }),
    example: { name: 'fast', chain: ['gpt-5-mini'] },
    response: group,
    status: 201,
    errors: ['409 name_taken'],
  }),
  operatorUpdateGroup: route({
    method: 'PATCH',
    path: '/api/operator/groups/:id',
    access,
    summary: 'Change where a group falls back to',
    params: idParams,
    body: z.strictObject({ chain }),
    example: { chain: ['claude-sonnet-4-5', 'gemini-2.5-pro'] },
    response: group,
  }),
  operatorDeleteGroup: route({
    method: 'DELETE',
    path: '/api/operator/groups/:id',
    access,
    summary: 'Remove a group in which nothing is deployed',
    params: idParams,
    response: deleted('model_group'),
    errors: ['409 group_in_use'],
  }),
  operatorListDeployments: route({
    method: 'GET',
    path: '/api/operator/deployments',
    access,
    summary: 'Deployments, newest first: of a group, a credential or a model, or all',
    query: listQuery.extend({
      group_id: id.optional(),
      credential_id: id.optional(),
      model_id: z.string().max(200).optional(),
    }),
    response: listOf(deployment),
  }),
  operatorGetDeployment: route({
    method: 'GET',
    path: '/api/operator/deployments/:id',
    access,
    summary: 'One deployment',
    params: idParams,
    response: deployment,
  }),
  operatorCreateDeployment: route({
    method: 'POST',
    path: '/api/operator/deployments',
    access,
    summary: 'Deploy a model on a credential, in a group',
    description:
      'A model that this release knows comes into the catalogue by this, with its price. The group is named by `group_id`, or as everyone’s by `group`, which is made where there is none; left out, it is the model’s usual name.',
    body: z
      .strictObject({
        credential_id: id,
        model_id: z.string().max(200),
        group: word.optional(),
        group_id: id.optional(),
        upstream_model: word.optional(),
        ...deploymentInput,
      })
      .refine(({ group, group_id }) => group === undefined || group_id === undefined, {
        path: ['group'],
        message: 'says what group_id says',
      }),
    example: {
      credential_id: '019abc12-3456-7890-abcd-ef0123456789',
      model_id: 'openai/gpt-5-mini',
      group: 'fast',
      weight: 3,
    },
    response: deployment,
    status: 201,
    errors: ['409 deployment_exists'],
  }),
  operatorUpdateDeployment: route({
    method: 'PATCH',
    path: '/api/operator/deployments/:id',
    access,
    summary: 'Change a deployment’s weight or limits, or switch it off and on',
    description: 'What is left out stays; null lifts. Which model it is, and where, makes it another deployment.',
    params: idParams,
    body: z.strictObject(deploymentInput),
    example: { weight: 1, requests_per_minute: 500, enabled: true },
    response: deployment,
  }),
  operatorDeleteDeployment: route({
    method: 'DELETE',
    path: '/api/operator/deployments/:id',
    access,
    summary: 'Call a model there no more; its group, model and prices stay',
    params: idParams,
    response: deleted('deployment'),
  }),
}
