import type { Bytes } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import { Gate } from '#ground/base/queue.ts'
import type { World } from '#ground/base/world.ts'
import { AeadError, type AeadKey, createAeadKey } from '#ground/crypto/aead.ts'
import { wrappedRootKey } from '#core/seal/seal.ts'
import type { Fence, Store, StoreBatch, StoreOperation } from '#stores/store.ts'
import {
  decodeKeyring,
  defaultRotation,
  encodeKeyring,
  type Keyring,
  type Rotation,
  wipeKeyring,
  withNewTerm,
} from './keyring.ts'
import { openEntry, sealEntry, termOf } from './sealed-entry.ts'

export const keyringKey = 'core/keyring'
/** The root key, sealed by the keyring: for nodes that follow a change of it. */
export const followedRootKey = 'core/root-key'
/** Which layout the storage has; refused when it is a newer one. */
export const formatKey = 'core/format'
export const formatVersion = 1

const keyringTerm = 1
const encryptionsMax = 2 ** 32

/**
 * - `sealed`: the keys are gone from memory.
 * - `damaged`: what was read isn't what was written there: changed, moved, or cut off.
 * - `unknown-term`: sealed by a key that isn't in the keyring, or that this node hasn't read yet (`reload`).
 * - `exhausted`: the key has sealed 2^32 entries and seals no more; it has to be rotated.
 */
export class BarrierError extends Error {
  override readonly name = 'BarrierError'
  readonly code: 'sealed' | 'damaged' | 'unknown-term' | 'exhausted'

  constructor(code: BarrierError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** The key that seals now, and how much it has sealed: about, after a crash. */
type ActiveTerm = { readonly term: number; readonly aead: AeadKey; readonly installedAt: Instant; encryptions: number }

type BarrierWorld = Pick<World, 'clock' | 'entropy' | 'log'>

/**
 * Between the server and its storage: everything is sealed, with term and storage key authenticated, so that an entry
 * can be neither read, changed, nor moved to another key. Raw keys are in our memory only while the keyring is read or
 * written, and wiped then; in between OpenSSL holds them.
 */
export class Barrier {
  readonly #store: Store
  readonly #world: BarrierWorld
  // One change of the keyring at a time: it is read, changed and written.
  readonly #changes = new Gate(1)
  readonly #keys = new Map<number, AeadKey>()
  #rootKey: AeadKey | null
  #active: ActiveTerm | null = null
  #rotation: Rotation = defaultRotation

  /** @param ring is read here and stays the caller's to wipe. */
  constructor(store: Store, world: BarrierWorld, rootKey: AeadKey, ring: Keyring) {
    this.#store = store
    this.#world = world
    this.#rootKey = rootKey
    this.#adopt(rootKey, ring)
  }

  get isOpen(): boolean {
    return this.#active !== null
  }

  get term(): number {
    return this.#opened().term
  }

  get installedAt(): Instant {
    return this.#opened().installedAt
  }

  get encryptions(): number {
    return this.#opened().encryptions
  }

  get rotation(): Rotation {
    return this.#rotation
  }

  /** @throws BarrierError `sealed`, `exhausted` */
  seal(key: string, plain: Bytes): Bytes {
    const active = this.#opened()
    if (active.encryptions >= encryptionsMax) {
      throw new BarrierError('exhausted', `the encryption key of term ${active.term} is used up: rotate it`)
    }
    active.encryptions++
    return sealEntry(this.#world.entropy, active.aead, active.term, key, plain)
  }

  /** @throws BarrierError `sealed`, `damaged`, `unknown-term` */
  open(key: string, sealed: Bytes): Bytes {
    const active = this.#opened()
    const term = termOf(sealed)
    if (term === null) throw new BarrierError('damaged', `the entry at ${key} has no form that is known`)
    const aead = term === active.term ? active.aead : this.#keys.get(term)
    if (!aead) {
      const message = `the entry at ${key} is sealed by a key of term ${term}, which is not there`
      throw new BarrierError('unknown-term', message)
    }
    try {
      return openEntry(aead, term, key, sealed)
    } catch (error) {
      if (!(error instanceof AeadError)) throw error
      throw new BarrierError('damaged', `the entry at ${key} was changed or moved outside of this server`, {
        cause: error,
      })
    }
  }

  /** A new data key seals from now on; old ones open what they sealed, for ever. Durable before it is used. */
  rotate(fence: Fence): Promise<void> {
    return this.#changes.run(async () => {
      await this.#rewrite(fence, ring => withNewTerm(ring, this.#world.entropy.bytes(32), this.#world.clock.now()))
      this.#world.log.info('encryption key rotated', { term: this.term })
    })
  }

  /** Is the key due to be rotated, by what it has sealed or by its age? */
  get isWorn(): boolean {
    const { encryptions, installedAt } = this.#opened()
    const { isEnabled, operationsMax, intervalMs } = this.#rotation
    const isOld = intervalMs > 0 && this.#world.clock.now() >= installedAt + intervalMs
    return isEnabled && (encryptions >= operationsMax || isOld)
  }

  /** Rotates when the key is worn; called now and then, not on the hot path. */
  async rotateIfWorn(fence: Fence): Promise<void> {
    if (this.isWorn) await this.rotate(fence)
  }

  /**
   * Keeps how much the key has sealed, so that a restart doesn't begin to count anew. What a crash forgets is covered
   * by the tenth that the default limit leaves: call it at least every 100,000 entries or so.
   */
  keepCount(fence: Fence): Promise<void> {
    return this.#changes.run(() => this.#rewrite(fence, ring => ring))
  }

  setRotation(fence: Fence, rotation: Rotation): Promise<void> {
    return this.#changes.run(() => this.#rewrite(fence, ring => ({ ...ring, rotation })))
  }

  /**
   * Replaces the root key: the keyring is sealed anew, in one commit with what `wrap` returns, which is how the new key
   * lies under the seal. Data keys stay.
   */
  replaceRootKey(fence: Fence, wrap: (rootKey: Bytes) => Promise<StoreBatch>): Promise<void> {
    return this.#changes.run(async () => {
      const raw = this.#world.entropy.bytes(32)
      const ring = await this.#currentRing()
      try {
        const rootKey = createAeadKey(raw)
        const operations = await wrap(raw)
        const followed = { key: followedRootKey, value: this.seal(followedRootKey, raw) }
        await this.#store.commit([sealRing(this.#world, rootKey, ring), followed, ...operations], fence)
        if (this.isOpen) this.#rootKey = rootKey
      } finally {
        raw.fill(0)
        wipeKeyring(ring)
      }
    })
  }

  /** Reads keyring and root key anew: for a node that follows, after the active one changed them. */
  reload(): Promise<void> {
    return this.#changes.run(async () => {
      let rootKey = this.#root()
      let ring = await readRing(this.#store, rootKey)
      if (!ring) {
        rootKey = await this.#changedRootKey()
        ring = await readRing(this.#store, rootKey)
      }
      if (!ring) throw new BarrierError('damaged', 'the root key was changed more than once: unseal this node again')
      if (this.isOpen) this.#adopt(rootKey, ring)
      wipeKeyring(ring)
    })
  }

  /** Drops the keys; whatever is under way fails with `sealed`. */
  close(): void {
    this.#rootKey = null
    this.#active = null
    this.#keys.clear()
  }

  async #changedRootKey(): Promise<AeadKey> {
    const stored = await this.#store.get(followedRootKey)
    if (!stored) throw new BarrierError('damaged', `${followedRootKey} is missing, and the root key was changed`)
    const raw = this.open(followedRootKey, stored)
    const rootKey = createAeadKey(raw)
    raw.fill(0)
    return rootKey
  }

  async #rewrite(fence: Fence, change: (ring: Keyring) => Keyring): Promise<void> {
    const rootKey = this.#root()
    const ring = change(await this.#currentRing())
    try {
      await this.#store.commit([sealRing(this.#world, rootKey, ring)], fence)
      // Closed meanwhile: the ring is written, and stays out of memory.
      if (this.isOpen) this.#adopt(rootKey, ring)
    } finally {
      wipeKeyring(ring)
    }
  }

  /** The ring as stored, with the active term's count as it is now. */
  async #currentRing(): Promise<Keyring> {
    const ring = await readRing(this.#store, this.#root())
    if (!ring) throw new BarrierError('damaged', `${keyringKey} is not sealed by this root key`)
    const { term, encryptions } = this.#opened()
    return { ...ring, keys: ring.keys.map(key => (key.term === term ? { ...key, encryptions } : key)) }
  }

  #adopt(rootKey: AeadKey, ring: Keyring): void {
    this.#rootKey = rootKey
    this.#rotation = ring.rotation
    for (const key of ring.keys) if (!this.#keys.has(key.term)) this.#keys.set(key.term, createAeadKey(key.raw))
    const { term, installedAt, encryptions } = ring.keys.at(-1)!
    // A term that goes on keeps its count: entries were sealed while the ring was being written.
    if (this.#active?.term === term) return
    this.#active = { term, installedAt, encryptions, aead: this.#keys.get(term)! }
  }

  #opened(): ActiveTerm {
    if (!this.#active) throw new BarrierError('sealed', 'the barrier is sealed')
    return this.#active
  }

  #root(): AeadKey {
    if (!this.#rootKey) throw new BarrierError('sealed', 'the barrier is sealed')
    return this.#rootKey
  }
}

function sealRing(world: Pick<World, 'entropy'>, rootKey: AeadKey, ring: Keyring): StoreOperation {
  const plain = encodeKeyring(ring)
  const value = sealEntry(world.entropy, rootKey, keyringTerm, keyringKey, plain)
  plain.fill(0)
  return { key: keyringKey, value }
}

/** @returns null when another root key sealed it. */
async function readRing(store: Store, rootKey: AeadKey): Promise<Keyring | null> {
  const sealed = await store.get(keyringKey)
  if (sealed === null) throw new BarrierError('damaged', `${keyringKey} is missing; ${wrappedRootKey} is there`)
  let plain: Bytes
  try {
    plain = openEntry(rootKey, keyringTerm, keyringKey, sealed)
  } catch (error) {
    if (error instanceof AeadError) return null
    throw error
  }
  const ring = decodeKeyring(plain)
  plain.fill(0)
  return ring
}

/**
 * Makes the first key, and writes keyring, format marker and `plain` (seal configuration, wrapped root key) in one
 * commit. Nothing may be there yet.
 * @param rootKey may be wiped afterwards.
 * @param furnish what else belongs to a new server, in the same commit: it may seal entries, and either all is there
 *   or nothing is.
 */
export async function createBarrier(
  store: Store,
  fence: Fence,
  world: BarrierWorld,
  rootKey: Bytes,
  plain: readonly { readonly key: string; readonly value: Bytes }[],
  furnish: (barrier: Barrier) => Promise<StoreBatch> = () => Promise.resolve([]),
): Promise<Barrier> {
  const key = { term: 1, raw: world.entropy.bytes(32), installedAt: world.clock.now(), encryptions: 0 }
  const ring: Keyring = { keys: [key], rotation: defaultRotation }
  const aead = createAeadKey(rootKey)
  const barrier = new Barrier(store, world, aead, ring)
  try {
    const format = { key: formatKey, value: Buffer.from(JSON.stringify({ version: formatVersion })) }
    const furniture = await furnish(barrier)
    await store.commit([sealRing(world, aead, ring), format, ...plain, ...furniture], fence)
    return barrier
  } catch (error) {
    barrier.close()
    throw error
  } finally {
    wipeKeyring(ring)
  }
}

/**
 * Opens what is there with the root key.
 * @param rootKey may be wiped afterwards.
 * @throws BarrierError `damaged` when the keyring isn't readable by it, or the storage is of another program or version.
 */
export async function openBarrier(store: Store, world: BarrierWorld, rootKey: Bytes): Promise<Barrier> {
  const version = formatOf(await store.get(formatKey))
  if (version !== null && version > formatVersion) {
    throw new BarrierError(
      'damaged',
      `the store was written by a newer coffer (format ${version}), this one knows ${formatVersion}: update it`,
    )
  }
  if (version !== formatVersion) {
    const found = version === null ? 'no format marker of coffer' : `format ${version}`
    throw new BarrierError('damaged', `the storage has ${found}; this version reads format ${formatVersion}`)
  }
  const aead = createAeadKey(rootKey)
  const ring = await readRing(store, aead)
  if (!ring) throw new BarrierError('damaged', 'the root key does not open the keyring')
  try {
    return new Barrier(store, world, aead, ring)
  } finally {
    wipeKeyring(ring)
  }
}

function formatOf(stored: Bytes | null): number | null {
  try {
    const { version } = JSON.parse(Buffer.from(stored ?? []).toString()) as { version?: unknown }
    return typeof version === 'number' ? version : null
  } catch {
    return null
  }
}
