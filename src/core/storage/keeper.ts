import type { Bytes, Maybe } from '#ground/base/brand.ts'
import type { Clock } from '#ground/base/clock.ts'
import type { Metrics } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import type { Codec } from '#backend/storage.ts'
import type { Barrier } from '#core/barrier/barrier.ts'
import { batchRefusal, deletions } from '#stores/batch.ts'
import {
  type Fence,
  type KeyRange,
  type ListPage,
  type Paging,
  type ScanPage,
  type Store,
  type StoreBatch,
  StoreError,
  type StoreKey,
} from '#stores/store.ts'
import { EntryCache } from './cache.ts'
import {
  batchesOf,
  gather,
  keysOfParts,
  openHead,
  partKeys,
  partsFolder,
  planWrite,
  type SealedWrite,
  type Split,
} from './parts.ts'
import { Splits } from './splits.ts'
import { findParts } from './sweep.ts'
import { Watches } from './watches.ts'

export type KeeperOptions = {
  store: Store
  barrier: Pick<Barrier, 'seal' | 'open'>
  fence: Fence
  world: Pick<World, 'clock' | 'entropy' | 'log'>
  metrics: Metrics
  /** Bytes of decoded entries kept in memory. */
  cacheBytes: number
  /** Keys whose parts are kept in mind; default 65,536, which stand for 8 GiB of large values at least. */
  splitKeysMax?: number
  /** Called before anything is handed to the store: audit lines reach their file first. Throwing refuses the write. */
  beforeCommit: () => void
  /** The store failed: what was under way may or may not be there, so nothing may be built on it. Called once. */
  onFailed: (error: unknown) => void
}

/** What reaches the store, in ms, under Vault's names. */
const keeperMeters = (metrics: Metrics, clock: Pick<Clock, 'monotonic'>) => ({
  get: metrics.summary('barrier.get'),
  put: metrics.summary('barrier.put'),
  delete: metrics.summary('barrier.delete'),
  list: metrics.summary('barrier.list'),
  now: () => clock.monotonic(),
})

/** A change by full storage key. */
export type KeeperWrite = {
  readonly key: string
  readonly codec: Codec<unknown>
  /** null deletes. */
  readonly entry: unknown
  /** Not kept in memory: index entries that nobody reads by key. */
  readonly uncached?: true
}

type Pending = {
  readonly entry: unknown
  readonly sequence: number
  readonly split: Split | null
  /** A purge went over it: whether the entry is there, only the store knows. */
  readonly isDoubtful?: true
}

const splitKeysDefault = 65_536
/** How often a read begins anew when its key is written meanwhile. */
const readsMax = 100
const nothing: readonly StoreKey[] = []
const never = new AbortController().signal

/** Decided by an `update`: what to write to the key itself (absent = nothing) and beside it. */
export type KeeperChange<R> = { readonly entry?: unknown; readonly also?: readonly KeeperWrite[]; readonly result: R }

/**
 * All entries of the server: sealed by the barrier, cached decoded, written in order. Knows keys and codecs, not what
 * they mean; `view.ts` gives each mount its part.
 *
 * Reads see writes that are still under way: the next write of a key builds on them, and since the store applies batches
 * in order, a failure takes all that was built on it with it (`onFailed`). A store that is full refuses what was built on
 * the refused commit, too; what was known of their keys is forgotten, and the keeper goes on.
 */
export class Keeper {
  readonly #options: KeeperOptions
  readonly #cache: EntryCache
  readonly #pending = new Map<string, Pending>()
  readonly #locks = new Map<string, Promise<unknown>>()
  readonly #watches = new Watches()
  readonly #splits: Splits
  readonly #meters: ReturnType<typeof keeperMeters>
  #sequence = 0
  #failure: { error: unknown } | null = null

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#cache = new EntryCache(options.cacheBytes)
    this.#meters = keeperMeters(options.metrics, options.world.clock)
    this.#splits = new Splits(options.splitKeysMax ?? splitKeysDefault)
  }

  /** Only what is in memory; null = known to be absent, undefined = not known. */
  peek(key: string): unknown {
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending.entry
    return this.#cache.get(key)?.entry
  }

  get(key: string, codec: Codec<unknown>): Maybe<unknown> {
    const known = this.peek(key)
    if (known !== undefined) return known
    this.#check()
    const { store, barrier } = this.#options
    const meters = this.#meters
    const began = meters.now()
    const sealed = store.get(key)
    if (sealed instanceof Promise) return this.#read(key, codec, sealed, began)
    const head = sealed === null ? null : openHead(key, sealed, barrier)
    if (head !== null && head.split !== null) return this.#read(key, codec, sealed, began)
    meters.get.add(meters.now() - began)
    return this.#remember(key, codec, head === null ? null : head.plain, null)
  }

  /** A read that has to wait; what is written or forgotten meanwhile makes it begin anew. */
  async #read(key: string, codec: Codec<unknown>, first: Maybe<Bytes | null>, began: number): Promise<unknown> {
    const { store } = this.#options
    let asked = first
    let missing: string | null = null
    for (let attempt = 0; attempt < readsMax; attempt++) {
      const watch = this.#watches.begin(key)
      try {
        const { plain, split } = await this.#whole(key, await asked)
        // While the store was asked, a write may have become known; it is newer.
        const known = this.peek(key)
        if (known !== undefined) return known
        const isTorn = plain === null && split !== null
        if (!watch.isOutdated && !isTorn) {
          this.#meters.get.add(this.#meters.now() - began)
          return this.#remember(key, codec, plain, split)
        }
        // Another node may have replaced the value while its parts were read; then the head names others by now.
        if (!watch.isOutdated && isTorn) {
          if (missing === split.generation) throw new Error(`the entry at ${key} is damaged: a part of it is missing`)
          missing = split.generation
        }
      } finally {
        this.#watches.end(watch)
      }
      this.#check()
      asked = store.get(key)
    }
    throw new Error(`the entry at ${key} changes faster than it can be read`)
  }

  async #whole(key: string, sealed: Bytes | null): Promise<{ plain: Bytes | null; split: Split | null }> {
    if (sealed === null) return { plain: null, split: null }
    const { barrier, store } = this.#options
    const head = openHead(key, sealed, barrier)
    if (head.split === null) return head
    return { plain: await gather(key, head.split, barrier, store), split: head.split }
  }

  /** @param plain null: there is no such entry. */
  #remember(key: string, codec: Codec<unknown>, plain: Bytes | null, split: Split | null): unknown {
    if (plain === null) {
      this.#cache.set(key, null, 0)
      return null
    }
    let entry: unknown
    try {
      entry = codec.decode(plain)
    } catch (error) {
      throw new Error(`the entry at ${key} can't be read: it was written by another version, or is damaged`, {
        cause: error,
      })
    }
    this.#cache.set(key, entry, plain.length)
    if (split !== null) this.#splits.set(key, split)
    return entry
  }

  /** One level below a prefix; writes under way are seen once they are durable. */
  list(prefix: string, paging: Paging): Maybe<ListPage> {
    this.#check()
    const meters = this.#meters
    const began = meters.now()
    const page = this.#options.store.list(prefix, paging)
    const add = (): void => meters.list.add(meters.now() - began)
    if (page instanceof Promise) return page.finally(add)
    add()
    return page
  }

  /** Keys in order; for indexes, whose entries have no content. */
  scanKeys(range: KeyRange, paging: Paging): Maybe<{ readonly keys: readonly string[]; readonly more: boolean }> {
    this.#check()
    const page = this.#options.store.scan(range, paging)
    const keysOf = ({ entries, more }: ScanPage) => ({ keys: entries.map(entry => entry.key), more })
    return page instanceof Promise ? page.then(keysOf) : keysOf(page)
  }

  /**
   * Durable when it resolves. Commits are applied in the order of the calls, large values as small ones.
   * @throws StoreError `too-large` for more than the store takes at once; and what `beforeCommit` throws. Nothing is
   * written then.
   */
  commit(writes: readonly KeeperWrite[]): Promise<void> {
    if (writes.length === 0) return Promise.resolve()
    this.#check()
    const { store, barrier, world, beforeCommit } = this.#options
    const sealed = writes.map(write => planWrite(write, barrier, store.limits, world.entropy))
    const heads = sealed.map(write => write.head)
    const refusal = batchRefusal(heads, store.limits)
    if (refusal !== null) throw refusal
    beforeCommit()
    const sequence = ++this.#sequence
    let replaced = nothing
    for (let i = 0; i < writes.length; i++) {
      const { key, entry, uncached } = writes[i]!
      const { split } = sealed[i]!
      if (!uncached || split !== null) this.#pending.set(key, { entry, sequence, split })
      const old = this.#splits.replace(key, split)
      if (old !== null) replaced = [...replaced, ...keysOfParts(key, old)]
      if (this.#watches.size > 0) this.#watches.outdate(key)
    }
    const durable = this.#hand(heads, sealed, replaced)
    if (this.#splits.isPartial) this.#removeUnknownParts(writes)
    return this.#send(writes, sealed, sequence, durable)
  }

  async #send(
    writes: readonly KeeperWrite[],
    sealed: readonly SealedWrite[],
    sequence: number,
    durable: Promise<unknown>,
  ): Promise<void> {
    const meters = this.#meters
    const began = meters.now()
    try {
      await durable
      meters[writes.some(write => write.entry !== null) ? 'put' : 'delete'].add(meters.now() - began)
    } catch (error) {
      this.#failUnlessFull(error)
      if (this.#failure === null) this.#undo(writes, sequence)
      throw error
    }
    for (let i = 0; i < writes.length; i++) {
      const { key, entry } = writes[i]!
      const pending = this.#pending.get(key)
      // A later write of the key is under way: it stays pending, and this entry is no longer the newest.
      if (pending?.sequence !== sequence) continue
      this.#pending.delete(key)
      if (!pending.isDoubtful) this.#cache.set(key, entry, sealed[i]!.bytes)
    }
  }

  /** Nothing of it is there: the next read asks the store. What was written over it since is refused by itself. */
  #undo(writes: readonly KeeperWrite[], sequence: number): void {
    for (const { key } of writes) {
      if (this.#pending.get(key)?.sequence === sequence) this.#pending.delete(key)
      this.#cache.delete(key)
      this.#splits.forget(key)
      this.#watches.outdate(key)
    }
  }

  /**
   * Hands the store all batches of a commit in this turn, so that no other commit comes between: the store applies them
   * in the order of the calls, and one that it refuses is the last that it takes.
   */
  #hand(heads: StoreBatch, sealed: readonly SealedWrite[], replaced: readonly StoreKey[]): Promise<unknown> {
    const { store, fence } = this.#options
    if (replaced.length === 0 && sealed.every(write => write.split === null)) return store.commit(heads, fence)
    const { before, together, after } = batchesOf(heads, sealed, replaced, store.limits)
    const durable = [...before, together].map(batch => store.commit(batch, fence))
    // Whoever waits for the value needn't wait for the end of the old one. A crash leaves the rest to `sweep`.
    for (const batch of after) store.commit(batch, fence).catch(error => this.#failUnlessFull(error))
    return Promise.all(durable)
  }

  /** For so many large values that not all are kept in mind. */
  #removeUnknownParts(writes: readonly KeeperWrite[]): void {
    for (const { key } of writes) {
      this.#removeWaste(`${partKeys(key)}/`, never).catch(error => {
        if (this.#failure === null) this.#options.world.log.warn('parts of a replaced value are left', { error })
      })
    }
  }

  /**
   * Atomic read and write of one key. `change` is called once with the newest entry, or not at all when reading fails;
   * what it throws comes out, and nothing is written.
   */
  update<R>(key: string, codec: Codec<unknown>, change: (now: unknown) => KeeperChange<R>): Promise<R> {
    const lock = this.#locks.get(key)
    if (lock === undefined) {
      const now = this.get(key, codec)
      if (!(now instanceof Promise)) return this.#apply(key, codec, now, change)
      return this.#locked(key, async () => this.#apply(key, codec, this.#newest(key, await now), change))
    }
    return this.#locked(key, async () => this.#apply(key, codec, this.#newest(key, await this.get(key, codec)), change))
  }

  // Between the end of a read and the turn of who waited for it, the key may have been written.
  #newest(key: string, read: unknown): unknown {
    const known = this.peek(key)
    return known === undefined ? read : known
  }

  /** Runs after whatever else runs exclusively, or updates, under this key. */
  exclusively<R>(key: string, work: () => Promise<R>): Promise<R> {
    return this.#locked(key, work)
  }

  // Only reads that have to wait need the lock: between a read at once and its pending write nothing can run.
  #locked<R>(key: string, work: () => Promise<R>): Promise<R> {
    const before = this.#locks.get(key) ?? Promise.resolve()
    const mine = before.then(work, work)
    const settled = mine.then(
      () => undefined,
      () => undefined,
    )
    this.#locks.set(key, settled)
    void settled.then(() => {
      if (this.#locks.get(key) === settled) this.#locks.delete(key)
    })
    return mine
  }

  async #apply<R>(
    key: string,
    codec: Codec<unknown>,
    now: unknown,
    change: (now: unknown) => KeeperChange<R>,
  ): Promise<R> {
    // What was read may be of before a write that failed since.
    this.#check()
    const { entry, also, result } = change(now)
    const writes: KeeperWrite[] = []
    if (entry !== undefined) writes.push({ key, codec, entry })
    if (also) writes.push(...also)
    if (writes.length > 0) await this.commit(writes)
    return result
  }

  /**
   * Deletes all below a prefix that ends in `/`, in bounded commits; may be called again after an interruption. A key
   * below it that is written meanwhile may stay or go, but as a whole.
   */
  async purge(prefix: string): Promise<void> {
    this.#check()
    const { store, fence, beforeCommit } = this.#options
    beforeCommit()
    // Entries first: one without its parts can't be read, parts without their entry are only waste.
    try {
      await this.#orFail(store.purge(prefix, fence))
    } finally {
      // Also of one that was cut short by a full disk.
      this.#cache.deletePrefix(prefix)
      this.#watches.outdateBelow(prefix)
      for (const [key, pending] of this.#pending) {
        if (key.startsWith(prefix)) this.#pending.set(key, { ...pending, isDoubtful: true })
      }
    }
    await this.#removeWaste(partKeys(prefix), never)
  }

  /**
   * Removes parts that no entry names: a crash left them, between the parts and the entry of a large value, or before
   * all parts of a replaced one were gone. To be called once after unseal, in the background; it works in pages, ends
   * when the signal is aborted, and never rejects. Until it is through, the parts of an old value that this keeper has
   * not read may outlive the next write of their key by so much.
   */
  async sweep(signal: AbortSignal): Promise<void> {
    const { log } = this.#options.world
    try {
      const removed = await this.#removeWaste(partsFolder, signal)
      if (removed > 0) log.info('removed parts of values that were replaced or never finished', { parts: removed })
    } catch (error) {
      if (!signal.aborted && this.#failure === null) log.warn('parts of replaced values could not be swept', { error })
    }
  }

  /** @returns how many parts there were. */
  async #removeWaste(folder: string, signal: AbortSignal): Promise<number> {
    const { store, fence, world } = this.#options
    let removed = 0
    const waste: StoreKey[] = []
    const remove = async (): Promise<void> => {
      for (const batch of deletions(waste.splice(0), store.limits)) await this.#orFail(store.commit(batch, fence))
    }
    for await (const { key, generation, parts } of findParts(folder, (prefix, paging) => store.list(prefix, paging))) {
      signal.throwIfAborted()
      this.#check()
      try {
        if ((await this.#newestSplit(key))?.generation === generation) continue
      } catch (error) {
        if (error instanceof StoreError) throw error
        world.log.warn('an entry can not be read; what may be its parts is left', { key, error })
        continue
      }
      // Never named again: what replaced it was handed to the store before this removal will be.
      waste.push(...parts)
      removed += parts.length
      if (waste.length >= store.limits.batchOperationsMax) await remove()
    }
    await remove()
    return removed
  }

  /** Where the parts of the newest value lie that was handed to the store. */
  async #newestSplit(key: string): Promise<Split | null> {
    const { store, barrier } = this.#options
    for (let attempt = 0; attempt < readsMax; attempt++) {
      const pending = this.#pending.get(key)
      if (pending !== undefined) return pending.split
      const watch = this.#watches.begin(key)
      try {
        const sealed = await store.get(key)
        if (watch.isOutdated) continue
        const split = sealed === null ? null : openHead(key, sealed, barrier).split
        if (split !== null) this.#splits.set(key, split)
        return split
      } finally {
        this.#watches.end(watch)
      }
    }
    throw new Error(`the entry at ${key} changes faster than it can be read`)
  }

  /** Forgets what it knows of these keys, or of all: another node wrote them. Reads under way begin anew. */
  forget(keys: readonly string[] | 'all'): void {
    if (keys === 'all') {
      this.#cache.clear()
      this.#watches.outdateBelow('')
      return
    }
    for (const key of keys) {
      this.#cache.delete(key)
      this.#watches.outdate(key)
    }
  }

  async #orFail<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      this.#failUnlessFull(error)
      throw error
    }
  }

  #failUnlessFull(error: unknown): void {
    if (!isFull(error)) this.#fail(error)
  }

  #check(): void {
    if (this.#failure)
      throw new Error('the store failed; restart the server once the cause is mended', { cause: this.#failure.error })
  }

  #fail(error: unknown): void {
    if (this.#failure) return
    this.#failure = { error }
    this.#pending.clear()
    this.#cache.clear()
    this.#options.onFailed(error)
  }
}

const isFull = (error: unknown): boolean => error instanceof StoreError && error.code === 'full'
