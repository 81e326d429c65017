import type { Bytes, Maybe } from '#ground/base/brand.ts'
import type { World } from '#ground/base/world.ts'
import type { Codec } from '#backend/storage.ts'
import type { Barrier } from '#core/barrier/barrier.ts'
import { batchRefusal } from '#stores/batch.ts'
import type { Fence, KeyRange, ListPage, Paging, ScanPage, Store, StoreOperation } from '#stores/store.ts'
import { EntryCache } from './cache.ts'
import { openWhole, partKeys, planWrite, type SealedWrite } from './parts.ts'

export type KeeperOptions = {
  store: Store
  barrier: Pick<Barrier, 'seal' | 'open'>
  fence: Fence
  world: Pick<World, 'entropy' | 'log'>
  /** Bytes of decoded entries kept in memory. */
  cacheBytes: number
  /** Called before anything is handed to the store: audit lines reach their file first. Throwing refuses the write. */
  beforeCommit: () => void
  /** The store failed: what was under way may or may not be there, so nothing may be built on it. Called once. */
  onFailed: (error: unknown) => void
}

/** A change by full storage key. */
export type KeeperWrite = {
  readonly key: string
  readonly codec: Codec<unknown>
  /** null deletes. */
  readonly entry: unknown
  /** Not kept in memory: index entries that nobody reads by key. */
  readonly uncached?: true
}

type Pending = { readonly entry: unknown; readonly sequence: number }

/** Decided by an `update`: what to write to the key itself (absent = nothing) and beside it. */
export type KeeperChange<R> = { readonly entry?: unknown; readonly also?: readonly KeeperWrite[]; readonly result: R }

/**
 * All entries of the server: sealed by the barrier, cached decoded, written in order. Knows keys and codecs, not what
 * they mean; `view.ts` gives each mount its part.
 *
 * Reads see writes that are still under way: the next write of a key builds on them, and since the store applies batches
 * in order, a failure takes all that was built on it with it (`onFailed`).
 */
export class Keeper {
  readonly #options: KeeperOptions
  readonly #cache: EntryCache
  readonly #pending = new Map<string, Pending>()
  readonly #locks = new Map<string, Promise<unknown>>()
  #sequence = 0
  #failure: { error: unknown } | null = null

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#cache = new EntryCache(options.cacheBytes)
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
    const sealed = this.#options.store.get(key)
    return sealed instanceof Promise
      ? sealed.then(bytes => this.#decoded(key, codec, bytes))
      : this.#decoded(key, codec, sealed)
  }

  #decoded(key: string, codec: Codec<unknown>, sealed: Bytes | null): Maybe<unknown> {
    // While the store was asked, a write may have become known; it is newer.
    const known = this.peek(key)
    if (known !== undefined) return known
    if (sealed === null) {
      this.#cache.set(key, null, 0)
      return null
    }
    const whole = openWhole(key, sealed, this.#options.barrier, this.#options.store)
    return whole instanceof Promise
      ? whole.then(bytes => this.#remember(key, codec, bytes))
      : this.#remember(key, codec, whole)
  }

  #remember(key: string, codec: Codec<unknown>, plain: Bytes): unknown {
    const known = this.peek(key)
    if (known !== undefined) return known
    let entry: unknown
    try {
      entry = codec.decode(plain)
    } catch (error) {
      throw new Error(`the entry at ${key} can't be read: it was written by another version, or is damaged`, {
        cause: error,
      })
    }
    this.#cache.set(key, entry, plain.length)
    return entry
  }

  /** One level below a prefix; writes under way are seen once they are durable. */
  list(prefix: string, paging: Paging): Maybe<ListPage> {
    this.#check()
    return this.#options.store.list(prefix, paging)
  }

  /** Keys in order; for indexes, whose entries have no content. */
  scanKeys(range: KeyRange, paging: Paging): Maybe<{ readonly keys: readonly string[]; readonly more: boolean }> {
    this.#check()
    const page = this.#options.store.scan(range, paging)
    const keysOf = ({ entries, more }: ScanPage) => ({ keys: entries.map(entry => entry.key), more })
    return page instanceof Promise ? page.then(keysOf) : keysOf(page)
  }

  /**
   * Durable when it resolves.
   * @throws StoreError `too-large` for more than the store takes at once; nothing is written then.
   */
  commit(writes: readonly KeeperWrite[]): Promise<void> {
    if (writes.length === 0) return Promise.resolve()
    this.#check()
    const { store, barrier, world } = this.#options
    const sealed = writes.map(write => planWrite(write, barrier, store.limits, world.entropy))
    const refusal = batchRefusal(
      sealed.map(write => write.head),
      store.limits,
    )
    if (refusal !== null) throw refusal
    const sequence = ++this.#sequence
    for (const write of writes) if (!write.uncached) this.#pending.set(write.key, { entry: write.entry, sequence })
    return this.#send(writes, sealed, sequence)
  }

  async #send(writes: readonly KeeperWrite[], sealed: readonly SealedWrite[], sequence: number): Promise<void> {
    const { store, fence, beforeCommit } = this.#options
    try {
      beforeCommit()
      // Parts of a large value go first: a head never points at parts that aren't there.
      for (const { parts } of sealed) for (const part of parts) await store.commit([part], fence)
      const operations: StoreOperation[] = sealed.map(write => write.head)
      await store.commit(operations, fence)
    } catch (error) {
      this.#fail(error)
      throw error
    }
    for (let i = 0; i < writes.length; i++) {
      const { key, entry } = writes[i]!
      // A later write of the key is under way: it stays pending, and this entry is no longer the newest.
      if (this.#pending.get(key)?.sequence !== sequence) continue
      this.#pending.delete(key)
      this.#cache.set(key, entry, sealed[i]!.bytes)
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
      return this.#locked(key, async () => this.#apply(key, codec, await now, change))
    }
    return this.#locked(key, async () => this.#apply(key, codec, await this.get(key, codec), change))
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
    const { entry, also, result } = change(now)
    const writes: KeeperWrite[] = []
    if (entry !== undefined) writes.push({ key, codec, entry })
    if (also) writes.push(...also)
    if (writes.length > 0) await this.commit(writes)
    return result
  }

  /** Deletes all below a prefix that ends in `/`, in bounded commits. */
  async purge(prefix: string): Promise<void> {
    this.#check()
    this.#options.beforeCommit()
    await this.#options.store.purge(partKeys(prefix), this.#options.fence)
    await this.#options.store.purge(prefix, this.#options.fence)
    this.#cache.deletePrefix(prefix)
  }

  /** Forgets what it knows of these keys, or of all: another node wrote them. */
  forget(keys: readonly string[] | 'all'): void {
    if (keys === 'all') this.#cache.clear()
    else for (const key of keys) this.#cache.delete(key)
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
