import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign as signWith } from 'node:crypto'
import { promisify } from 'node:util'

const signed = promisify(signWith)

/** A request that is going to have a body. */
export interface OciRequest {
  readonly host: string
  /** With its query, as it goes into the request line. */
  readonly path: string
  readonly body: Buffer
  readonly type: string
}

/**
 * Signs POST requests with a user's API signing key, as Oracle Cloud has it (https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm): the draft of HTTP signatures that it names, with
 * RSA-SHA256. Beside the signature goes the compartment that is asked for
 * (https://github.com/oracle-samples/oci-openai).
 */
export class OciSigner {
  readonly #keyId: string
  readonly #key: KeyObject
  readonly #compartment: string

  /** `json` has what Oracle's configuration files have, and the compartment; without one it is the root one, which is the tenancy. Throws on what can't sign, without telling what it was. */
  constructor(json: string) {
    const { user, tenancy, fingerprint, key, compartment } = readKey(json)
    this.#key = key
    this.#keyId = `${tenancy}/${user}/${fingerprint ?? fingerprintOf(key)}`
    this.#compartment = compartment ?? tenancy
  }

  /** The headers that let the request in. They hold for five minutes. */
  async sign({ host, path, body, type }: OciRequest, now: Date): Promise<string[]> {
    const own = {
      date: now.toUTCString(),
      'x-content-sha256': createHash('sha256').update(body).digest('base64'),
      'opc-compartment-id': this.#compartment,
    }
    const lines: Readonly<Record<string, string | number>> = {
      '(request-target)': `post ${path}`,
      host,
      ...own,
      'content-type': type,
      'content-length': body.length,
    }
    const toSign = Object.entries(lines).map(([name, value]) => `${name}: ${value}`)
    const signature = (await signed('RSA-SHA256', Buffer.from(toSign.join('\n')), this.#key)).toString('base64')
    const parts = { keyId: this.#keyId, algorithm: 'rsa-sha256', headers: Object.keys(lines).join(' '), signature }
    const written = Object.entries({ version: '1', ...parts }).map(([name, value]) => `${name}="${value}"`)
    const compartment = ['CompartmentId', this.#compartment]
    return [...Object.entries(own).flat(), ...compartment, 'authorization', `Signature ${written.join(',')}`]
  }
}

interface SigningKey {
  readonly user: string
  readonly tenancy: string
  readonly fingerprint: string | null
  readonly key: KeyObject
  readonly compartment: string | null
}

/** The names are those of https://docs.oracle.com/en-us/iaas/Content/API/Concepts/sdkconfig.htm. */
function readKey(json: string): SigningKey {
  let file: Record<string, unknown> | null
  try {
    file = JSON.parse(json)
  } catch {
    throw new Error('the OCI credential is no valid JSON')
  }
  const {
    user,
    tenancy,
    key_content: pem,
    pass_phrase: passphrase,
    fingerprint = null,
    compartment = null,
  } = file ?? {}
  if (!isWord(user) || !isWord(tenancy) || typeof pem !== 'string')
    throw new Error('the OCI credential needs user, tenancy and key_content')
  if (fingerprint !== null && !isWord(fingerprint)) throw new Error('the OCI credential’s fingerprint must be one')
  if (compartment !== null && !isWord(compartment)) throw new Error('the OCI credential’s compartment must be an OCID')
  return { user, tenancy, fingerprint, key: readPem(pem, passphrase), compartment }
}

function readPem(key: string, passphrase: unknown): KeyObject {
  let read: KeyObject
  try {
    read = createPrivateKey({ key, ...(typeof passphrase === 'string' && { passphrase }) })
  } catch {
    throw new Error('the OCI credential’s key_content is no key that can be read')
  }
  if (read.asymmetricKeyType !== 'rsa') throw new Error('the OCI credential’s key_content is not RSA')
  return read
}

/** What the console shows of a key: https://docs.oracle.com/en-us/iaas/Content/API/Concepts/apisigningkey.htm */
function fingerprintOf(key: KeyObject): string {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' })
  return createHash('md5')
    .update(der)
    .digest('hex')
    .replace(/..(?!$)/g, '$&:')
}

/** It goes between quotes, and into a header. */
function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.:-]+$/.test(value)
}
