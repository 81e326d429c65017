import type { Bytes, Maybe } from '#ground/base/brand.ts'
import type { World } from '#ground/base/world.ts'
import { batchRefusal, deletions } from '#stores/batch.ts'
import { ChangeRing } from '#stores/change-ring.ts'
import { assertPaging, keyAfter, pageLimitMax, rangeBelow, scanStart } from '#stores/keys.ts'
import { listOneLevel } from '#stores/one-level.ts'
import {
  defaultLimits,
  type Fence,
  type KeyRange,
  type ListPage,
  type Paging,
  type Revision,
  type ScanPage,
  type Store,
  type StoreBatch,
  type StoreChange,
  type StoreCopy,
  type StoreEntry,
  StoreError,
  type StoreKey,
  type Term,
} from '#stores/store.ts'
import { Terms } from '#stores/terms.ts'
import { Connections } from './connections.ts'
import { Groups } from './groups.ts'
import { copyOf } from './copying.ts'
import { type Layout, layoutOf, prepareDatabase, prepareFolder } from './layout.ts'
import { takeLock } from './lock.ts'
import type { Reader } from './reader.ts'
import { failed, full, sqliteFull } from './sqlite-error.ts'
import { installStaged, stage } from './staging.ts'
import { failureOf } from './worker-link.ts'

export type SqliteStoreOptions = {
  /** A folder, for `coffer.db` in it, or a file: one that exists, or a name that ends in `.db`. */
  readonly path: string
  readonly world: Pick<World, 'clock' | 'log'>
  /** Pages that the reading connection keeps, bytes; default 16 MiB. More costs memory and gains little. */
  readonly readCacheBytes?: number
  /** Pages of 4 KiB that the database may grow to; a commit that needs more finds the disk full. Default: no bound. */
  readonly pagesMax?: number
  /**
   * Called in the same turn just before each group of commits leaves for the disk: what must be in a file before (the
   * requests' audit lines) is written here. When it throws, the commits that wait are refused with that error and
   * nothing of them is written.
   */
  readonly beforeCommit?: () => void
  /**
   * Environment of the worker threads; default `process.env`. Give `NODE_COMPILE_CACHE` here when it was deleted there:
   * a worker without it starts three times slower.
   */
  readonly workerEnv?: NodeJS.ProcessEnv
}

const defaultReadCacheBytes = 16 * 1024 * 1024

/** How long nothing is tried after a commit found no room, ms. */
const fullMs = 1_000

class SqliteStore implements Store {
  readonly type = 'sqlite'
  readonly limits = defaultLimits
  readonly #options: SqliteStoreOptions
  readonly #layout: Layout
  readonly #lock: Disposable
  readonly #terms: Terms
  #connections: Connections
  #ring: ChangeRing
  #groups: Groups
  #failure: StoreError | null = null
  /** The disk was full at the last attempt; `refusal` until it is time for the next. */
  #full: { readonly refusal: StoreError | null; readonly timer: Disposable } | null = null
  /** While the content is exchanged nothing is open: who reads waits. */
  #installing: Promise<void> | null = null
  #closing: Promise<void> | null = null

  private constructor(options: SqliteStoreOptions, layout: Layout, lock: Disposable, connections: Connections) {
    const { revision, term } = connections.opened
    this.#options = options
    this.#layout = layout
    this.#lock = lock
    this.#connections = connections
    this.#ring = new ChangeRing(revision)
    this.#terms = new Terms(term)
    this.#groups = this.#groupsFrom(revision)
  }

  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    const { path, world } = options
    const layout = layoutOf(path)
    prepareFolder(layout, world.log)
    const lock = takeLock(layout)
    // A thread may end before there is a store to tell.
    let store: SqliteStore | undefined
    try {
      if (installStaged(layout)) world.log.warn('the store has the content that was staged before', { path })
      prepareDatabase(layout)
      const connections = await connect(options, layout, error => {
        if (store) store.#fail(error)
      })
      store = new SqliteStore(options, layout, lock, connections)
      return store
    } catch (error) {
      lock[Symbol.dispose]()
      throw error
    }
  }

  get #reader(): Reader {
    return this.#connections.reader
  }

  #groupsFrom(head: Revision): Groups {
    return new Groups({
      head,
      beforeSend: this.#options.beforeCommit ?? (() => undefined),
      send: group => this.#connections.commit(group),
      // A read transaction that began before this commit would hide it from who waits for it.
      onDurable: () => {
        this.#reader.endTick()
        if (this.#full !== null) this.#onRoom()
      },
      onCommit: (committed, keys) => this.#ring.push(committed, keys),
      onFailure: error => {
        const failure = failureOf(error)
        if (failure.code === sqliteFull) return this.#onFull()
        return this.#fail(failed('a commit', this.#layout.database, failure))
      },
    })
  }

  get(key: StoreKey): Maybe<Bytes | null> {
    if (this.#installing !== null) return this.#installing.then(() => this.get(key))
    this.#assertOpen()
    // Half a surrogate pair would be read as U+FFFD, which is another key.
    if (!key.isWellFormed()) return null
    return this.#read(() => this.#reader.get(key))
  }

  list(prefix: string, paging: Paging): Maybe<ListPage> {
    if (this.#installing !== null) return this.#installing.then(() => this.list(prefix, paging))
    this.#assertOpen()
    return listOneLevel(prefix, paging, (from, limit) => this.#read(() => this.#reader.keysFrom(from, limit)))
  }

  scan(range: KeyRange, paging: Paging): Maybe<ScanPage> {
    if (this.#installing !== null) return this.#installing.then(() => this.scan(range, paging))
    this.#assertOpen()
    assertPaging(paging)
    const from = scanStart(range, paging)
    return this.#read(() => this.#reader.entries({ from, to: range.to }, paging.limit))
  }

  async commit(batch: StoreBatch, fence: Fence): Promise<Revision> {
    if (this.#installing !== null) await this.#installing
    this.#assertOpen()
    const refusal = batchRefusal(batch, this.limits) ?? this.#terms.refusal(fence) ?? this.#full?.refusal
    if (refusal) throw refusal
    this.#terms.see(fence.term)
    return this.#groups.submit(batch, this.#terms.last)
  }

  head(): Revision {
    this.#assertOpen()
    return this.#ring.head
  }

  changes(since: Revision, signal: AbortSignal): AsyncIterable<StoreChange> {
    this.#assertOpen()
    return this.#ring.read(since, signal)
  }

  async campaign(signal: AbortSignal): Promise<Term> {
    this.#assertOpen()
    signal.throwIfAborted()
    if (this.#full?.refusal) throw this.#full.refusal
    const term = this.#terms.next()
    await this.#groups.submit([], term.term)
    return term
  }

  async purge(prefix: string, fence: Fence): Promise<void> {
    const { from, to } = rangeBelow(prefix)
    let next = from
    for (;;) {
      this.#assertOpen()
      // Keys alone: a page of values may be large.
      const page = this.#read(() => this.#reader.keysFrom(next, pageLimitMax))
      const below = page.filter(key => key.startsWith(prefix))
      for (const batch of deletions(below, this.limits)) await this.commit(batch, fence)
      const last = below.at(-1)
      if (last === undefined || below.length < page.length || page.length < pageLimitMax) return
      next = keyAfter(last)
      if (next >= to) return
    }
  }

  copy(): StoreCopy {
    this.#assertOpen()
    return copyOf(this.#layout.database)
  }

  stage(pages: AsyncIterable<readonly StoreEntry[]>): Promise<void> {
    this.#assertOpen()
    // Above all that was ever granted or told here.
    return stage(this.#layout, pages, () => ({ revision: this.#ring.head + 1, term: this.#terms.last + 1 }))
  }

  install(): Promise<void> {
    this.#assertOpen()
    this.#installing ??= this.#install().finally(() => {
      this.#installing = null
    })
    return this.#installing
  }

  async #install(): Promise<void> {
    this.#terms.see(this.#terms.last + 1)
    await this.#groups.idle()
    this.#ring.end(null)
    await this.#connections.close()
    try {
      installStaged(this.#layout)
      this.#connections = await connect(this.#options, this.#layout, error => this.#fail(error))
    } catch (error) {
      throw this.#fail(
        error instanceof StoreError ? error : failed('installing', this.#layout.database, failureOf(error)),
      )
    }
    const { revision, term } = this.#connections.opened
    this.#terms.see(term)
    this.#ring = new ChangeRing(revision)
    this.#groups = this.#groupsFrom(revision)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#installing?.catch(() => undefined)
    await this.#groups.idle()
    this.#full?.timer[Symbol.dispose]()
    const closed = closedError()
    this.#terms.end(closed)
    this.#ring.end(null)
    await this.#connections.close()
    this.#lock[Symbol.dispose]()
  }

  #assertOpen(): void {
    if (this.#closing) throw closedError()
    if (this.#failure) throw this.#failure
  }

  #read<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw this.#fail(failed('a read', this.#layout.database, failureOf(error)))
    }
  }

  #onFull(): StoreError {
    const { clock, log } = this.#options.world
    const refusal = full('a commit', this.#layout.database)
    if (this.#full === null) log.error('the disk is full: writes are refused until there is room', { error: refusal })
    const timer = clock.after(fullMs, () => {
      this.#full = { refusal: null, timer }
    })
    this.#full = { refusal, timer }
    return refusal
  }

  #onRoom(): void {
    this.#full?.timer[Symbol.dispose]()
    this.#full = null
    this.#options.world.log.info('the disk has room again: writes are taken')
  }

  /** From here on every call fails; the first failure is the one told. */
  #fail(error: StoreError): StoreError {
    if (this.#failure) return this.#failure
    this.#failure = error
    this.#options.world.log.error('the store failed and must be opened again', { error })
    this.#groups.fail(error)
    this.#terms.end(error)
    this.#ring.end(error)
    return error
  }
}

function connect(
  options: SqliteStoreOptions,
  { database }: Layout,
  onDeath: (error: StoreError) => void,
): Promise<Connections> {
  const { world, readCacheBytes = defaultReadCacheBytes, pagesMax = null, workerEnv = process.env } = options
  const onDelay = (error: StoreError): void =>
    world.log.warn('the store can be written to, but its log grows', { error })
  return Connections.open({ database, readCacheBytes, pagesMax, workerEnv, clock: world.clock, onDeath, onDelay })
}

function closedError(): StoreError {
  return new StoreError('closed', 'the store is closed')
}

/**
 * The single-node store: one SQLite file, written by one thread, checkpointed by another, read on the caller's own.
 * All its reads answer at once.
 * @throws StoreError `busy` when a process has it open, `failed` when it can't be opened
 */
export function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  return SqliteStore.open(options)
}
