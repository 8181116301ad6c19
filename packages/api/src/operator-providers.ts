import { isCredentialName, readBaseUrl, readProviderSecret } from '@nemo/domain/provider-credential'
import { z } from 'zod'
import { route } from './route.ts'
import { deleted, id, idParams, listOf, listQuery, time } from './schema.ts'

const credential = z.object({
  id,
  object: z.literal('provider_credential'),
  name: z.string(),
  provider: z.string(),
  base_url: z.string().nullable().meta({ description: 'Null for the provider’s usual one' }),
  settings: z.record(z.string(), z.string()),
  has_secret: z.boolean().meta({ description: 'All that is ever said of it' }),
  deployments: z.number().int(),
  created_at: time,
})

const tested = z.object({
  object: z.literal('credential_test'),
  outcome: z.enum(['works', 'refused', 'unreachable', 'unclear']),
  message: z.string(),
  status: z.number().int().nullable().meta({ description: 'What the provider answered with' }),
  latency_ms: z.number().int(),
})

const credentialName = z
  .string()
  .refine(isCredentialName, 'must have lowercase letters, digits, ".", "_" and "-" only, and "sandbox" is ours')
const provider = z.string().min(1).max(100).meta({ description: 'One of GET /api/operator/provider-types' })
const baseUrl = z
  .string()
  .max(2_000)
  .transform((text, context) => {
    const url = readBaseUrl(text)
    if (url !== null) return url
    context.addIssue({
      code: 'custom',
      message: 'must be like https://api.example.com/v1, without a password or a query',
    })
    return z.NEVER
  })
const settings = z.record(z.string().max(100), z.string().min(1).max(500))
const secret = z
  .string()
  .max(20_000)
  .transform((text, context) => {
    const read = readProviderSecret(text)
    if (read !== null) return read
    context.addIssue({ code: 'custom', message: 'must be one line of visible characters, or JSON' })
    return z.NEVER
  })

const place = { provider, base_url: baseUrl.nullable().default(null), settings: settings.default({}) }

const access = 'operator'
const gatewayElsewhere = '409 gateway_elsewhere'
const testLimits = [{ by: 'user', max: 60, seconds: 600 }] as const

export const operatorProviderRoutes = {
  operatorListProviderTypes: route({
    method: 'GET',
    path: '/api/operator/provider-types',
    access,
    summary: 'The providers that there can be credentials of, and what each needs',
    response: z.object({
      object: z.literal('list'),
      data: z.array(
        z.object({
          name: z.string(),
          title: z.string(),
          base_url: z.string().nullable().meta({ description: 'Null where each installation has its own' }),
          settings: z.array(z.object({ name: z.string(), description: z.string(), default: z.string().nullable() })),
          secret: z.enum(['required', 'optional']),
          documentation: z.string(),
          notes: z.string().nullable(),
        }),
      ),
    }),
    errors: [gatewayElsewhere],
  }),
  operatorListCredentials: route({
    method: 'GET',
    path: '/api/operator/credentials',
    access,
    summary: 'Provider credentials without their secrets, newest first',
    query: listQuery,
    response: listOf(credential),
  }),
  operatorGetCredential: route({
    method: 'GET',
    path: '/api/operator/credentials/:id',
    access,
    summary: 'One provider credential',
    params: idParams,
    response: credential,
  }),
  operatorCreateCredential: route({
    method: 'POST',
    path: '/api/operator/credentials',
    access,
    summary: 'Put a provider credential into the vault',
    description:
      'The secret is sealed, and never answered again. Addresses within your own network are allowed: models run there. With `deploy_known_models` every model of the provider whose price this release knows can be called at once.',
    body: z.strictObject({
      name: credentialName,
      ...place,
      secret: secret.nullable().default(null),
      deploy_known_models: z.boolean().default(false),
    }),
    example: { name: 'openai', provider: 'openai', secret: 'sk-example', deploy_known_models: true },
    response: credential,
    status: 201,
    errors: ['409 name_taken', gatewayElsewhere],
  }),
  operatorUpdateCredential: route({
    method: 'PATCH',
    path: '/api/operator/credentials/:id',
    access,
    summary: 'Replace the secret of a credential, or where it is for',
    description:
      'A secret goes nowhere but where it was given for: with another address or other settings it must be given again. Every process calls with what it is now within a second.',
    params: idParams,
    body: z.strictObject({
      base_url: baseUrl.nullable().optional(),
      settings: settings.optional(),
      secret: secret.nullable().optional(),
    }),
    example: { secret: 'sk-another-example' },
    response: credential,
    errors: [gatewayElsewhere],
  }),
  operatorDeleteCredential: route({
    method: 'DELETE',
    path: '/api/operator/credentials/:id',
    access,
    summary: 'Forget a credential that nothing is deployed on',
    params: idParams,
    response: deleted('provider_credential'),
    errors: ['409 credential_in_use'],
  }),
  operatorTestCredential: route({
    method: 'POST',
    path: '/api/operator/credentials/:id/test',
    access,
    summary: 'Ask the provider, with the stored secret, something that costs nothing',
    params: idParams,
    response: tested,
    errors: [gatewayElsewhere],
    limits: testLimits,
  }),
  operatorTestNewCredential: route({
    method: 'POST',
    path: '/api/operator/credentials/test',
    access,
    summary: 'The same with a credential that isn’t stored, and isn’t by this',
    body: z.strictObject({ ...place, secret: secret.nullable().default(null) }),
    example: { provider: 'openai', secret: 'sk-example' },
    response: tested,
    errors: [gatewayElsewhere],
    limits: testLimits,
  }),
}
