import { homedir } from 'node:os'
import { join } from 'node:path'
import type { AwsKeys } from './aws-credentials.ts'
import { AssumedRole, type Role, type Sts, WebIdentity } from './aws-roles.ts'
import type { AwsKey } from './sigv4.ts'

/** The files are read again so long after, for those who put new keys into them. */
const FRESH_MS = 5 * 60_000

type Profile = Readonly<Record<string, string>>

/**
 * A profile of AWS's shared files (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html): with keys, with a role and the profile that it is assumed from, or with a web
 * identity. What wants a person or another program (single sign-on, MFA, `credential_process`) is refused by name.
 */
export class AwsProfile implements AwsKeys {
  readonly #name: string
  readonly #sts: Sts
  #read: { text: string; keys: AwsKeys; at: number } | null = null

  constructor(name: string, sts: Sts) {
    this.#name = name
    this.#sts = sts
  }

  key(now: number): AwsKey | Promise<AwsKey> {
    if (this.#read && now < this.#read.at + FRESH_MS) return this.#read.keys.key(now)
    return this.#open(now).then((keys) => keys.key(now))
  }

  async #open(now: number): Promise<AwsKeys> {
    const { environment, readFile } = this.#sts.world
    const folder = join(environment.HOME ?? homedir(), '.aws')
    const paths = [
      environment.AWS_CONFIG_FILE ?? join(folder, 'config'),
      environment.AWS_SHARED_CREDENTIALS_FILE ?? join(folder, 'credentials'),
    ]
    const [config = '', credentials = ''] = await Promise.all(paths.map((path) => readFile(path).catch(() => '')))
    const text = `${config}\n\n${credentials}`
    // What was assumed before stays so, as long as the files say the same.
    const keys = this.#read?.text === text ? this.#read.keys : this.#keysOf(profilesIn(config, credentials))
    this.#read = { text, keys, at: now }
    return keys
  }

  #keysOf(profiles: ReadonlyMap<string, Profile>): AwsKeys {
    return resolve(this.#name, profiles, this.#sts, [])
  }
}

/** Keys in the credentials file come before those in the other. */
function profilesIn(config: string, credentials: string): Map<string, Profile> {
  const profiles = new Map<string, Profile>()
  for (const [section, fields] of sectionsOf(config)) {
    const name = section === 'default' ? section : /^profile\s+(.+)$/.exec(section)?.[1]
    if (name !== undefined) profiles.set(name, fields)
  }
  for (const [name, fields] of sectionsOf(credentials)) profiles.set(name, { ...profiles.get(name), ...fields })
  return profiles
}

function sectionsOf(text: string): Map<string, Record<string, string>> {
  const sections = new Map<string, Record<string, string>>()
  let current: Record<string, string> | null = null
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1]
    if (section !== undefined) {
      current = sections.get(section) ?? {}
      sections.set(section, current)
      continue
    }
    // A line that is moved in belongs to the setting above it.
    const field = /^([A-Za-z0-9_.-]+)\s*=\s*(.*?)\s*$/.exec(line)
    if (field && current) current[field[1]!.toLowerCase()] = field[2]!.replace(/\s[#;].*$/, '').trim()
  }
  return sections
}

const NOT_FOR_SERVERS = ['sso_session', 'sso_start_url', 'credential_process', 'mfa_serial']

function resolve(name: string, profiles: ReadonlyMap<string, Profile>, sts: Sts, before: readonly string[]): AwsKeys {
  const profile = profiles.get(name)
  if (!profile) throw new Error(`AWS’s shared files have no profile "${name}"`)
  const unusable = NOT_FOR_SERVERS.find((field) => profile[field])
  if (unusable) throw new Error(`the AWS profile "${name}" has ${unusable}, which a server can’t use`)
  const role = roleOf(profile)
  // Of a profile that names itself, its own keys are meant.
  if (role && before.at(-1) !== name) {
    if (profile.web_identity_token_file) return new WebIdentity(profile.web_identity_token_file, role, sts)
    if (before.includes(name)) throw new Error(`the AWS profile "${name}" is assumed from itself`)
    return new AssumedRole(sourceOf(name, profile, profiles, sts, before), role, sts)
  }
  return always(keyIn(profile, `the AWS profile "${name}"`))
}

function sourceOf(
  name: string,
  { source_profile: source, credential_source: kind }: Profile,
  profiles: ReadonlyMap<string, Profile>,
  sts: Sts,
  before: readonly string[],
): AwsKeys {
  if (source) return resolve(source, profiles, sts, [...before, name])
  if (kind === 'Environment') return always(keyIn(lowerCased(sts.world.environment), 'the environment'))
  throw new Error(`the AWS profile "${name}" has a role and no source_profile`)
}

function always(key: AwsKey): AwsKeys {
  return { key: () => key }
}

function roleOf({ role_arn: arn, external_id: externalId, role_session_name: sessionName }: Profile): Role | null {
  return arn ? { arn, externalId: externalId ?? null, sessionName: sessionName ?? null } : null
}

function keyIn(fields: Profile, where: string): AwsKey {
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey } = fields
  if (!accessKeyId || !secretAccessKey) throw new Error(`${where} has no access key`)
  return { accessKeyId, secretAccessKey, sessionToken: fields.aws_session_token || null }
}

function lowerCased(environment: Readonly<Record<string, string | undefined>>): Profile {
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']
  return Object.fromEntries(names.map((name) => [name.toLowerCase(), environment[name] ?? '']))
}
