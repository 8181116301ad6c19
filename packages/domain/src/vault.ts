import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const KEY_BYTES = 32
const KEY_ID_BYTES = 8
const NONCE_BYTES = 12
const TAG_BYTES = 16
export const MASTER_KEY_BYTES = KEY_BYTES

/** One master key, or several, of which the first seals and all open: for the time in which one takes the other's place. */
export type MasterKeys = Buffer | readonly Buffer[]

/**
 * Seals a secret in an envelope: AES-256-GCM under a data key of its own, which is sealed under the master key. `context` says what the secret is of (a
 * credential's name); a sealed secret moved to another context doesn't open. Layout: version 2, id of the master key, sealed data key, sealed secret; what is
 * sealed is nonce, tag, ciphertext. Version 1, which is opened still, was the secret sealed under the master key itself.
 */
export function seal(masterKeys: MasterKeys, secret: string, context: string): Buffer {
  const dataKey = randomBytes(KEY_BYTES)
  const sealedSecret = encrypt(dataKey, Buffer.from(secret), secretAad(context))
  return Buffer.concat([wrap(listOf(masterKeys)[0]!, dataKey, context), sealedSecret])
}

/** Opens what `seal` made. Throws when the key or the context is another, or a byte was changed. */
export function unseal(masterKeys: MasterKeys, sealed: Buffer, context: string): string {
  if (sealed[0] === 1) return unsealFirstVersion(masterKeys, sealed, context)
  const dataKey = unwrap(masterKeys, sealed, context)
  return orNotOurs(context, () => decrypt(dataKey, sealed.subarray(WRAPPED_BYTES), secretAad(context)).toString('utf8'))
}

/**
 * The same secret under another master key; null when it is under that one already. Of an envelope only the data key is sealed anew. Throws where none of the
 * keys opens it.
 */
export function reseal(masterKeys: MasterKeys, newMasterKey: Buffer, sealed: Buffer, context: string): Buffer | null {
  if (sealed[0] === 1) return seal(newMasterKey, unseal(masterKeys, sealed, context), context)
  if (masterKeyIdOfSealed(sealed) === masterKeyId(newMasterKey)) return null
  const dataKey = unwrap(masterKeys, sealed, context)
  return Buffer.concat([wrap(newMasterKey, dataKey, context), sealed.subarray(WRAPPED_BYTES)])
}

/** What names a master key and says nothing of it. */
export function masterKeyId(masterKey: Buffer): string {
  return derived(masterKey).id.toString('hex')
}

/** The name of the master key that it is sealed under; null where version 1 doesn't say. */
export function masterKeyIdOfSealed(sealed: Buffer): string | null {
  return sealed[0] === VERSION ? sealed.subarray(1, HEADER_BYTES).toString('hex') : null
}

const VERSION = 2
const HEADER_BYTES = 1 + KEY_ID_BYTES
const WRAPPED_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES + KEY_BYTES

function wrap(masterKey: Buffer, dataKey: Buffer, context: string): Buffer {
  const { id, wrappingKey } = derived(masterKey)
  const header = Buffer.concat([Buffer.from([VERSION]), id])
  return Buffer.concat([header, encrypt(wrappingKey, dataKey, wrapAad(header, context))])
}

function unwrap(masterKeys: MasterKeys, sealed: Buffer, context: string): Buffer {
  if (sealed[0] !== VERSION) throw new Error(`a secret sealed in version ${sealed[0]} can't be opened by this release`)
  const header = sealed.subarray(0, HEADER_BYTES)
  return orNotOurs(context, () => {
    const masterKey = listOf(masterKeys).find((key) => masterKeyId(key) === masterKeyIdOfSealed(sealed))
    if (!masterKey) throw new Error('it is sealed under another key')
    const { wrappingKey } = derived(masterKey)
    return decrypt(wrappingKey, sealed.subarray(HEADER_BYTES, WRAPPED_BYTES), wrapAad(header, context))
  })
}

function unsealFirstVersion(masterKeys: MasterKeys, sealed: Buffer, context: string): string {
  const open = (key: Buffer) => decrypt(key, sealed.subarray(1), Buffer.from(context)).toString('utf8')
  return orNotOurs(context, () => firstThatOpens(listOf(masterKeys), open))
}

/** Nothing in that version says which key it is. */
function firstThatOpens<T>(keys: readonly Buffer[], open: (key: Buffer) => T): T {
  let failure: unknown = new Error('there is no key')
  for (const key of keys) {
    try {
      return open(key)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

function orNotOurs<T>(context: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw new Error(
      `the secret of ${context} can't be opened: NEMO_MASTER_KEY is not the one that it was sealed with`,
      { cause: error },
    )
  }
}

/** Bound to the header, so that a wrapped key isn't taken for one of another master key or version. */
function wrapAad(header: Buffer, context: string): Buffer {
  return Buffer.concat([Buffer.from('data key\0'), header, Buffer.from(context)])
}

/** Without the name of the master key, which may change while this stays as it is. */
function secretAad(context: string): Buffer {
  return Buffer.concat([Buffer.from('secret\0'), Buffer.from([VERSION]), Buffer.from(context)])
}

function encrypt(key: Buffer, plain: Buffer, aad: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad)
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), ciphertext])
}

function decrypt(key: Buffer, sealed: Buffer, aad: Buffer): Buffer {
  const nonce = sealed.subarray(0, NONCE_BYTES)
  const tag = sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad).setAuthTag(tag)
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()])
}

interface Derived {
  readonly id: Buffer
  readonly wrappingKey: Buffer
}

const known = new WeakMap<Buffer, Derived>()

/** Keys for one purpose each, so that what version 1 sealed under the master key itself never meets what is sealed since. */
function derived(masterKey: Buffer): Derived {
  let found = known.get(masterKey)
  if (!found) {
    const derive = (purpose: string, bytes: number) => Buffer.from(hkdfSync('sha256', masterKey, '', purpose, bytes))
    found = { id: derive('nemo master key id', KEY_ID_BYTES), wrappingKey: derive('nemo data key wrapping', KEY_BYTES) }
    known.set(masterKey, found)
  }
  return found
}

function listOf(masterKeys: MasterKeys): readonly Buffer[] {
  return Buffer.isBuffer(masterKeys) ? [masterKeys] : (masterKeys as readonly Buffer[])
}
