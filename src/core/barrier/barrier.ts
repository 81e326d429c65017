import type { Bytes } from '#ground/base/brand.ts'
import type { World } from '#ground/base/world.ts'
import { AeadError, type AeadKey, createAeadKey } from '#ground/crypto/aead.ts'
import { wrappedRootKey } from '#core/seal/seal.ts'
import type { Fence, Store } from '#stores/store.ts'
import { Keyring, type KeyringEntry, newTerm } from './keyring.ts'

export const keyringKey = 'core/keyring'
/** Which layout the storage has; refused when it is a newer one. */
export const formatKey = 'core/format'
export const formatVersion = 1

/** Term, then version of the layout. @source openbao vault/barrier: 4 bytes big-endian, 1 byte */
const headerBytes = 5
const layoutVersion = 2
/** Where a key of AES-GCM with random nonces has to end: 90 % of 2^32. */
const encryptionsMax = 3_865_470_566

/**
 * - `sealed`: the keys are wiped.
 * - `damaged`: what was read isn't what was written there: changed, moved, or cut off.
 * - `unknown-term`: sealed by a key that isn't in the keyring.
 */
export class BarrierError extends Error {
  override readonly name = 'BarrierError'
  readonly code: 'sealed' | 'damaged' | 'unknown-term'

  constructor(code: BarrierError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/**
 * Between the server and its storage: everything is sealed, with term and storage key authenticated, so that an entry
 * can be neither read, changed, nor moved to another key.
 */
export class Barrier {
  readonly #store: Store
  readonly #world: Pick<World, 'clock' | 'entropy' | 'log'>
  readonly #keyring: Keyring
  readonly #rootKey: AeadKey
  #isOpen = true
  #isRotating = false

  constructor(store: Store, world: Pick<World, 'clock' | 'entropy' | 'log'>, rootKey: Bytes, keyring: Keyring) {
    this.#store = store
    this.#world = world
    this.#rootKey = createAeadKey(rootKey)
    this.#keyring = keyring
  }

  get term(): number {
    return this.#keyring.activeTerm
  }

  get encryptions(): number {
    return this.#keyring.encryptions
  }

  seal(key: string, plain: Bytes): Bytes {
    if (!this.#isOpen) throw new BarrierError('sealed', 'the barrier is sealed')
    const { term, key: aead } = this.#keyring.sealing()
    const associated = associatedWith(term, key)
    const sealed = aead.seal(this.#world.entropy, plain, associated, headerBytes)
    sealed.set(associated.subarray(0, headerBytes))
    return sealed
  }

  /** @throws BarrierError */
  open(key: string, sealed: Bytes): Bytes {
    if (!this.#isOpen) throw new BarrierError('sealed', 'the barrier is sealed')
    if (sealed.length <= headerBytes || sealed[4] !== layoutVersion) {
      throw new BarrierError('damaged', `the entry at ${key} has no form that is known`)
    }
    const term = ((sealed[0]! << 24) | (sealed[1]! << 16) | (sealed[2]! << 8) | sealed[3]!) >>> 0
    const aead = this.#keyring.opening(term)
    if (aead === null)
      throw new BarrierError(
        'unknown-term',
        `the entry at ${key} is sealed by a key of term ${term}, which is not there`,
      )
    try {
      return aead.open(sealed, associatedWith(term, key), headerBytes)
    } catch (error) {
      if (error instanceof AeadError)
        throw new BarrierError('damaged', `the entry at ${key} was changed or moved outside of this server`, {
          cause: error,
        })
      throw error
    }
  }

  /** A new data key seals from now on; old ones open what they sealed, for ever. Durable before it is used. */
  async rotate(fence: Fence): Promise<void> {
    const entry = this.#keyring.rotated(this.#world.entropy, this.#world.clock.now())
    await this.#store.commit([{ key: keyringKey, value: sealKeyring(this.#rootKey, entry, this.#world) }], fence)
    this.#keyring.adopt(entry)
    this.#world.log.info('encryption key rotated', { term: this.term })
  }

  /** Rotates when the key has sealed as much as it may; called now and then, not on the hot path. */
  async rotateIfWorn(fence: Fence): Promise<void> {
    if (this.#isRotating || this.#keyring.encryptions < encryptionsMax) return
    this.#isRotating = true
    try {
      await this.rotate(fence)
    } finally {
      this.#isRotating = false
    }
  }

  /** Keeps how much the key has sealed, so that a restart doesn't begin to count anew. */
  async keepCount(fence: Fence): Promise<void> {
    const value = sealKeyring(this.#rootKey, this.#keyring.entry(), this.#world)
    await this.#store.commit([{ key: keyringKey, value }], fence)
  }

  /** Wipes the keys. */
  close(): void {
    this.#isOpen = false
    this.#keyring.clear()
  }
}

// The storage key of one entry is the same at every read: the bytes are made once for the last ones.
const associatedCache = new Map<string, Buffer>()
const associatedCacheMax = 4_096

function associatedWith(term: number, key: string): Buffer {
  const at = `${term}:${key}`
  const known = associatedCache.get(at)
  if (known !== undefined) return known
  const out = Buffer.allocUnsafe(headerBytes + Buffer.byteLength(key))
  out.writeUInt32BE(term, 0)
  out[4] = layoutVersion
  out.write(key, headerBytes)
  if (associatedCache.size >= associatedCacheMax) associatedCache.clear()
  associatedCache.set(at, out)
  return out
}

function sealKeyring(rootKey: AeadKey, entry: KeyringEntry, world: Pick<World, 'entropy'>): Bytes {
  return rootKey.seal(world.entropy, Buffer.from(JSON.stringify(entry)), Buffer.from(keyringKey))
}

/** Makes the first key, and writes keyring, wrapped root key and format marker in one commit. Nothing may be there yet. */
export async function createBarrier(
  store: Store,
  fence: Fence,
  world: Pick<World, 'clock' | 'entropy' | 'log'>,
  rootKey: Bytes,
  plain: readonly { readonly key: string; readonly value: Bytes }[],
): Promise<Barrier> {
  const entry = { keys: [newTerm(1, world.entropy, world.clock.now())] }
  const aead = createAeadKey(rootKey)
  await store.commit(
    [
      { key: keyringKey, value: sealKeyring(aead, entry, world) },
      { key: formatKey, value: Buffer.from(JSON.stringify({ version: formatVersion })) },
      ...plain,
    ],
    fence,
  )
  return new Barrier(store, world, rootKey, new Keyring(entry))
}

/**
 * Opens what is there with the root key.
 * @throws BarrierError `damaged` when the keyring isn't readable by it.
 */
export async function openBarrier(
  store: Store,
  world: Pick<World, 'clock' | 'entropy' | 'log'>,
  rootKey: Bytes,
): Promise<Barrier> {
  const format = await store.get(formatKey)
  const { version } =
    format === null ? { version: 0 } : (JSON.parse(Buffer.from(format).toString()) as { version: number })
  if (version !== formatVersion) {
    throw new BarrierError('damaged', `the storage has format ${version}; this version reads format ${formatVersion}`)
  }
  const sealed = await store.get(keyringKey)
  if (sealed === null) throw new BarrierError('damaged', `${keyringKey} is missing; ${wrappedRootKey} is there`)
  let plain: Bytes
  try {
    plain = createAeadKey(rootKey).open(sealed, Buffer.from(keyringKey))
  } catch (error) {
    if (error instanceof AeadError)
      throw new BarrierError('damaged', 'the root key does not open the keyring', { cause: error })
    throw error
  }
  const entry = JSON.parse(Buffer.from(plain).toString()) as KeyringEntry
  plain.fill(0)
  return new Barrier(store, world, rootKey, new Keyring(entry))
}
