import type { Catalogue, ModelGroup } from '@nemo/gateway/snapshot/catalogue'
import { CLAIM_HOURS, type OperatorClaim } from '../operator-claim.ts'
import { ownName } from '../own-name.ts'
import type { Demo } from './demo.ts'

export interface Greeting {
  /** Where callers reach it, without /v1. */
  readonly url: string
  readonly version: string
  readonly dataFolder: string
  readonly isEmbedded: boolean
  readonly demo: Demo | null
  /** While there is no operator. */
  readonly claim: OperatorClaim | null
  readonly catalogue: Catalogue
}

/** What a newcomer needs, aligned: where it is, his key, a line to try, and how to become the operator. */
export function greet(greeting: Greeting): string {
  const { url, version, dataFolder, isEmbedded, demo, claim, catalogue } = greeting
  const providers = providersOf(catalogue)
  const models = usableGroups(catalogue).map((group) => group.name)
  const curl = curlLine(greeting)
  const lines: [string, string][] = [
    ['Listening on', `${url}/v1`],
    ['Virtual key', demo ? `${demo.key}` : `as before; make another with: ${ownName()} key create --alias <name>`],
    ...(demo
      ? [
          [
            '',
            `of organization ${demo.organization}, with $${demo.credits} of credits; shown this once, so keep it`,
          ] as [string, string],
        ]
      : []),
    ['Provider', describeProviders(providers)],
    ['Models', abridged(models)],
    ['Data', isEmbedded ? dataFolder : `in the database of DATABASE_URL; master key and lock in ${dataFolder}`],
  ]
  const width = Math.max(...lines.map(([label]) => label.length))
  const body = lines.map(([label, text]) => `  ${label.padEnd(width)}   ${text}`).join('\n')
  const trial = curl
    ? `Try it${demo ? '' : ', with a key in NEMO_KEY'}:\n\n  ${curl}\n`
    : `Add a provider, and there is something to call.\n`
  return `\nNemo Router ${version}\n\n${body}\n\n${trial}${claim ? `\n${describeClaim(claim)}` : ''}\nCtrl-C stops it.\n`
}

function describeClaim({ curl }: OperatorClaim): string {
  return `There is no operator yet. Within ${CLAIM_HOURS} hours this makes you it, once, with your address, a password and your name filled in:\n\n  ${curl}\n`
}

/** The same for a program. */
export function greetingForProgram(greeting: Greeting): object {
  const { url, dataFolder, isEmbedded, demo, claim, catalogue, version } = greeting
  return {
    event: 'listening',
    version,
    pid: process.pid,
    url: `${url}/v1`,
    organization: demo?.organization ?? null,
    key: demo?.key ?? null,
    curl: curlLine(greeting),
    operator_claim: claim,
    providers: providersOf(catalogue),
    models: usableGroups(catalogue).map((group) => group.name),
    database: isEmbedded ? 'embedded' : 'DATABASE_URL',
    data_folder: dataFolder,
  }
}

function usableGroups(catalogue: Catalogue): ModelGroup[] {
  return catalogue.groups.filter(
    (group) => group.organizationId === null && group.deployments.some((deployment) => deployment.price !== null),
  )
}

function providersOf(catalogue: Catalogue): string[] {
  return [...new Set(catalogue.groups.flatMap((group) => group.deployments.map((one) => one.upstream.credential)))]
}

function describeProviders(providers: readonly string[]): string {
  const add = `${ownName()} provider add openai --api-key-env OPENAI_API_KEY`
  if (providers.length === 0) return `none; add one with: ${add}`
  if (!providers.includes('sandbox')) return providers.join(', ')
  return `${providers.join(', ')} (it makes its answers up; for real ones: ${add})`
}

function abridged(names: readonly string[]): string {
  const shown = names.slice(0, 6).join(', ') || 'none'
  return names.length > 6 ? `${shown} and ${names.length - 6} more` : shown
}

/** A line for the shell that works as it is; null when there is no model to call. */
function curlLine({ url, demo, catalogue }: Greeting): string | null {
  const groups = usableGroups(catalogue)
  const ofEndpoint = (endpoint: string) => groups.find((group) => group.deployments[0]?.model.endpoint === endpoint)
  const chat = ofEndpoint('chat')
  const group = chat ?? ofEndpoint('embeddings')
  if (!group) return null
  const path = chat ? 'chat/completions' : 'embeddings'
  const body = chat
    ? { model: group.name, messages: [{ role: 'user', content: 'Hello!' }], max_tokens: 100 }
    : { model: group.name, input: 'Hello!' }
  const json = JSON.stringify(body).replaceAll("'", "'\\''")
  return `curl -sS ${url}/v1/${path} -H "Authorization: Bearer ${demo?.key ?? '$NEMO_KEY'}" -H 'Content-Type: application/json' -d '${json}'`
}
