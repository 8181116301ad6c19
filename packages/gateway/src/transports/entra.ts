import { AccessToken } from './access-token.ts'

const AUTHORITY = 'https://login.microsoftonline.com'
/** What Azure's models are called with: https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest */
const SCOPE = 'https://cognitiveservices.azure.com/.default'

/**
 * Access tokens of Microsoft Entra ID for an application and its client secret
 * (https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow#first-case-access-token-request-with-a-shared-secret).
 */
export class EntraAccess extends AccessToken {
  protected readonly reasons = ['error', 'error_description']
  readonly #application: Application

  /** `json` names the application. Throws on what doesn't, without telling what it was. */
  constructor(json: string) {
    const application = readApplication(json)
    const authority = application.authorityHost.replace(/\/+$/, '')
    super('Microsoft Entra ID', `${authority}/${application.tenantId}/oauth2/v2.0/token`)
    this.#application = application
  }

  protected form(): Record<string, string> {
    const { clientId, clientSecret, scope } = this.#application
    return { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope }
  }
}

interface Application {
  readonly tenantId: string
  readonly clientId: string
  readonly clientSecret: string
  /** Of another cloud than the public one, such as https://login.microsoftonline.us. */
  readonly authorityHost: string
  readonly scope: string
}

/** The names are those of Azure's SDKs; what `az ad sp create-for-rbac` prints will do as well. */
function readApplication(json: string): Application {
  let file: Record<string, unknown> | null
  try {
    file = JSON.parse(json)
  } catch {
    throw new Error('the Entra ID credential is no valid JSON')
  }
  const { tenant, appId, password, authorityHost = AUTHORITY, scope = SCOPE } = file ?? {}
  const { tenantId = tenant, clientId = appId, clientSecret = password } = file ?? {}
  if (!isText(tenantId) || !isText(clientId) || !isText(clientSecret))
    throw new Error('the Entra ID credential needs tenantId, clientId and clientSecret')
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(tenantId))
    throw new Error('the Entra ID credential’s tenantId must be an id or a domain')
  if (!isText(authorityHost) || !URL.canParse(authorityHost))
    throw new Error('the Entra ID credential’s authorityHost must be a URL')
  if (!isText(scope)) throw new Error('the Entra ID credential’s scope must be text')
  return { tenantId, clientId, clientSecret, authorityHost, scope }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
