import type { Bytes } from '#ground/base/brand.ts'
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
  StoreError,
  type StoreKey,
  type Term,
} from '#stores/store.ts'
import { Terms } from '#stores/terms.ts'
import { Connections } from './connections.ts'
import { Groups } from './groups.ts'
import { layoutOf, prepareDatabase, prepareFolder } from './layout.ts'
import { takeLock } from './lock.ts'
import type { Reader } from './reader.ts'
import { failed } from './sqlite-error.ts'
import { failureOf } from './worker-link.ts'

export type SqliteStoreOptions = {
  /** A folder, for `coffer.db` in it, or a file: one that exists, or a name that ends in `.db`. */
  readonly path: string
  readonly world: Pick<World, 'clock' | 'log'>
  /** Pages that the reading connection keeps, bytes; default 16 MiB. More costs memory and gains little. */
  readonly readCacheBytes?: number
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

class SqliteStore implements Store {
  readonly type = 'sqlite'
  readonly limits = defaultLimits
  readonly #database: string
  readonly #world: Pick<World, 'clock' | 'log'>
  readonly #connections: Connections
  readonly #reader: Reader
  readonly #lock: Disposable
  readonly #ring: ChangeRing
  readonly #terms: Terms
  readonly #groups: Groups
  #failure: StoreError | null = null
  #closing: Promise<void> | null = null

  private constructor(options: SqliteStoreOptions, database: string, lock: Disposable, connections: Connections) {
    const { revision, term } = connections.opened
    this.#database = database
    this.#world = options.world
    this.#lock = lock
    this.#connections = connections
    this.#reader = connections.reader
    this.#ring = new ChangeRing(revision)
    this.#terms = new Terms(term)
    this.#groups = new Groups({
      head: revision,
      beforeSend: options.beforeCommit ?? (() => undefined),
      send: group => connections.commit(group),
      // A read transaction that began before this commit would hide it from who waits for it.
      onDurable: () => this.#reader.endTick(),
      onCommit: (committed, keys) => this.#ring.push(committed, keys),
      onFailure: error => this.#fail(failed('a commit', database, failureOf(error))),
    })
  }

  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    const { path, world } = options
    const layout = layoutOf(path)
    prepareFolder(layout, world.log)
    const lock = takeLock(layout)
    // A thread may end before there is a store to tell.
    let store: SqliteStore | undefined
    try {
      prepareDatabase(layout)
      const connections = await Connections.open({
        database: layout.database,
        readCacheBytes: options.readCacheBytes ?? defaultReadCacheBytes,
        workerEnv: options.workerEnv ?? process.env,
        clock: world.clock,
        onDeath: error => {
          if (store) store.#fail(error)
        },
        onDelay: error => world.log.warn('the store can be written to, but its log grows', { error }),
      })
      store = new SqliteStore(options, layout.database, lock, connections)
      return store
    } catch (error) {
      lock[Symbol.dispose]()
      throw error
    }
  }

  get(key: StoreKey): Bytes | null {
    this.#assertOpen()
    // Half a surrogate pair would be read as U+FFFD, which is another key.
    if (!key.isWellFormed()) return null
    return this.#read(() => this.#reader.get(key))
  }

  list(prefix: string, paging: Paging): ListPage {
    this.#assertOpen()
    return listOneLevel(prefix, paging, (from, limit) => this.#read(() => this.#reader.keysFrom(from, limit)))
  }

  scan(range: KeyRange, paging: Paging): ScanPage {
    this.#assertOpen()
    assertPaging(paging)
    const from = scanStart(range, paging)
    return this.#read(() => this.#reader.entries({ from, to: range.to }, paging.limit))
  }

  async commit(batch: StoreBatch, fence: Fence): Promise<Revision> {
    this.#assertOpen()
    const refusal = batchRefusal(batch, this.limits) ?? this.#terms.refusal(fence)
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

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#groups.idle()
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
      throw this.#fail(failed('a read', this.#database, failureOf(error)))
    }
  }

  /** From here on every call fails; the first failure is the one told. */
  #fail(error: StoreError): StoreError {
    if (this.#failure) return this.#failure
    this.#failure = error
    this.#world.log.error('the store failed and must be opened again', { error })
    this.#groups.fail(error)
    this.#terms.end(error)
    this.#ring.end(error)
    return error
  }
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
