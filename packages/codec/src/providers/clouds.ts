import { type Dated, type Provider, openAiCompatible as provider, type Setting } from '../provider.ts'

const REGION: Setting = { name: 'region', description: 'AWS region', variable: 'AWS_REGION', default: 'us-east-1' }
const PROJECT: Setting = {
  name: 'project',
  description: 'Google Cloud project id',
  variable: 'GOOGLE_CLOUD_PROJECT',
  default: null,
}
const LOCATION: Setting = {
  name: 'location',
  description: 'Google Cloud location',
  variable: 'GOOGLE_CLOUD_LOCATION',
  default: 'us-central1',
}
const VERTEX = 'https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}'
const ACCOUNT: Setting = {
  name: 'account',
  description: 'Cloudflare account id',
  variable: 'CLOUDFLARE_ACCOUNT_ID',
  default: null,
}

const DEPLOYMENT = '/deployments/{model}'
const VERSION = '?api-version={api_version}'
/**
 * Azure's paths of before its version 1, with the deployment in them (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference). Before 2024-09-01 they know neither `stream_options` nor
 * `max_completion_tokens` (https://learn.microsoft.com/en-us/azure/ai-services/openai/api-version-deprecation), and `developer` came later. Responses are left to version 1.
 */
const AZURE_DATED: Dated = {
  since: '2024-09-01',
  baseUrl: 'https://{resource}.openai.azure.com/openai',
  endpoints: ['chat', 'embeddings', 'images'],
  paths: {
    chat: `${DEPLOYMENT}/chat/completions${VERSION}`,
    embeddings: `${DEPLOYMENT}/embeddings${VERSION}`,
    images: `${DEPLOYMENT}/images/generations${VERSION}`,
    models: `/models${VERSION}`,
  },
  systemRole: 'system',
}

/** Clouds that serve many makers' models, with authentication of their own. */
export const CLOUDS: readonly Provider[] = [
  provider({
    name: 'bedrock',
    title: 'AWS Bedrock',
    dialect: 'converse',
    hosting: 'bedrock',
    baseUrl: 'https://bedrock-runtime.{region}.amazonaws.com',
    settings: [REGION],
    auth: { kind: 'sigv4', service: 'bedrock' },
    endpoints: ['chat', 'embeddings'],
    apiKeyVariable: 'AWS_BEARER_TOKEN_BEDROCK',
    documentation: 'https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html',
    notes:
      'The secret is an access key, KEY:SECRET[:SESSION], a Bedrock API key, or JSON that names a profile or a role.',
  }),
  provider({
    name: 'bedrock-anthropic',
    title: 'Claude on AWS Bedrock',
    dialect: 'anthropic',
    hosting: 'bedrock',
    baseUrl: 'https://bedrock-runtime.{region}.amazonaws.com',
    settings: [REGION],
    auth: { kind: 'sigv4', service: 'bedrock' },
    documentation: 'https://docs.claude.com/en/api/claude-on-amazon-bedrock',
    notes:
      'The secret is an access key, KEY:SECRET[:SESSION], a Bedrock API key, or JSON that names a profile or a role.',
  }),
  provider({
    name: 'vertex',
    title: 'Google Vertex AI',
    dialect: 'gemini',
    hosting: 'vertex',
    baseUrl: VERTEX,
    settings: [PROJECT, LOCATION],
    auth: { kind: 'google' },
    endpoints: ['chat', 'embeddings', 'images'],
    documentation: 'https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference',
    notes: 'The secret is the JSON key of a service account.',
  }),
  provider({
    name: 'vertex-anthropic',
    title: 'Claude on Google Vertex AI',
    dialect: 'anthropic',
    hosting: 'vertex',
    baseUrl: VERTEX,
    settings: [PROJECT, LOCATION],
    auth: { kind: 'google' },
    documentation: 'https://docs.claude.com/en/api/claude-on-vertex-ai',
    notes: 'The secret is the JSON key of a service account.',
  }),
  provider({
    name: 'azure',
    title: 'Azure OpenAI',
    hosting: 'azure',
    baseUrl: 'https://{resource}.openai.azure.com/openai/v1',
    settings: [
      { name: 'resource', description: 'Azure resource name', variable: 'AZURE_RESOURCE_NAME', default: null },
      { name: 'api_version', description: 'v1, or a date such as 2024-10-21', variable: null, default: 'v1' },
    ],
    dated: AZURE_DATED,
    auth: { kind: 'azure' },
    apiKeyVariable: 'AZURE_OPENAI_API_KEY',
    endpoints: ['chat', 'responses', 'embeddings', 'images'],
    hasFullResponses: true,
    outputCap: 'max_completion_tokens',
    systemRole: null,
    takesThoughts: false,
    documentation: 'https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest',
    notes:
      'The upstream model is the name of your deployment. With a date for api_version its older paths are called, which have no Responses: those are then translated. The secret is a key, or JSON that names an application of Entra ID.',
  }),
  provider({
    name: 'databricks',
    title: 'Databricks',
    baseUrl: 'https://{workspace}/serving-endpoints',
    settings: [{ name: 'workspace', description: 'Host of the workspace', variable: 'DATABRICKS_HOST', default: null }],
    apiKeyVariable: 'DATABRICKS_TOKEN',
    endpoints: ['chat', 'embeddings'],
    documentation: 'https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference',
  }),
  provider({
    name: 'cloudflare',
    title: 'Cloudflare Workers AI',
    baseUrl: 'https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1',
    settings: [ACCOUNT],
    apiKeyVariable: 'CLOUDFLARE_API_TOKEN',
    endpoints: ['chat', 'embeddings'],
    documentation: 'https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/',
  }),
  provider({
    name: 'snowflake',
    title: 'Snowflake Cortex',
    baseUrl: 'https://{account}.snowflakecomputing.com/api/v2/cortex/v1',
    settings: [
      { name: 'account', description: 'Snowflake account identifier', variable: 'SNOWFLAKE_ACCOUNT', default: null },
    ],
    apiKeyVariable: 'SNOWFLAKE_PAT',
    outputCap: 'max_completion_tokens',
    documentation: 'https://docs.snowflake.com/en/user-guide/snowflake-cortex/open_ai_sdk',
    notes: 'The secret is a programmatic access token.',
  }),
  provider({
    name: 'oci',
    title: 'Oracle OCI Generative AI',
    baseUrl: 'https://inference.generativeai.{region}.oci.oraclecloud.com/20231130/actions/v1',
    settings: [{ name: 'region', description: 'OCI region', variable: 'OCI_REGION', default: 'us-chicago-1' }],
    auth: { kind: 'oci' },
    apiKeyVariable: 'OCI_GENAI_API_KEY',
    documentation: 'https://docs.oracle.com/en-us/iaas/Content/generative-ai/api-keys.htm',
    notes:
      'The secret is an API key of Generative AI, or JSON with a user’s signing key. Models that Oracle serves by its own API only, such as Cohere’s, can’t be called.',
  }),
  provider({
    name: 'sagemaker',
    title: 'AWS SageMaker',
    baseUrl: 'https://runtime.sagemaker.{region}.amazonaws.com/endpoints/{endpoint}',
    settings: [REGION, { name: 'endpoint', description: 'Name of the endpoint', variable: null, default: null }],
    auth: { kind: 'sigv4', service: 'sagemaker' },
    hosting: 'sagemaker',
    paths: { chat: '/invocations' },
    documentation: 'https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html',
    notes: 'For endpoints whose container speaks OpenAI’s chat completions, such as DJL-LMI’s.',
  }),
  provider({
    name: 'watsonx',
    title: 'IBM watsonx.ai',
    baseUrl: 'https://{region}.ml.cloud.ibm.com/ml/gateway/v1',
    settings: [{ name: 'region', description: 'IBM Cloud region', variable: 'WATSONX_REGION', default: 'us-south' }],
    auth: { kind: 'ibm' },
    apiKeyVariable: 'WATSONX_APIKEY',
    endpoints: ['chat', 'embeddings'],
    documentation: 'https://www.ibm.com/docs/en/watsonx/saas?topic=solutions-model-gateway',
    notes:
      'The model gateway. The secret is an API key of IBM Cloud, which is exchanged for tokens, or the JSON file of one.',
  }),
  provider({
    name: 'digitalocean',
    title: 'DigitalOcean',
    baseUrl: 'https://inference.do-ai.run/v1',
    apiKeyVariable: 'MODEL_ACCESS_KEY',
    documentation: 'https://docs.digitalocean.com/products/gradient-ai-platform/how-to/use-serverless-inference/',
  }),
  provider({
    name: 'scaleway',
    title: 'Scaleway',
    baseUrl: 'https://api.scaleway.ai/v1',
    apiKeyVariable: 'SCW_SECRET_KEY',
    endpoints: ['chat', 'embeddings'],
    documentation: 'https://www.scaleway.com/en/docs/generative-apis/',
  }),
  provider({
    name: 'ovhcloud',
    title: 'OVHcloud AI Endpoints',
    baseUrl: 'https://oai.endpoints.kepler.ai.cloud.ovh.net/v1',
    apiKeyVariable: 'OVHCLOUD_API_KEY',
    endpoints: ['chat', 'embeddings'],
    documentation: 'https://help.ovhcloud.com/csm/en-public-cloud-ai-endpoints-getting-started',
  }),
]
