import type { Bytes } from '#ground/base/brand.ts'
import type { World } from '#ground/base/world.ts'
import { batchRefusal } from '#stores/batch.ts'
import { MemoryMedium, openMemoryStore } from '#stores/memory/memory.ts'
import {
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
  type StoreLimits,
  type Term,
} from '#stores/store.ts'

export type LaggingStoreOptions = {
  readonly world: Pick<World, 'clock' | 'entropy'>
  /** What survives closing; default: fresh. */
  readonly medium?: MemoryMedium
  /** The longest delay before and after each step, ms; default 5. Each delay is drawn from 0 up to it. */
  readonly lagMsMax?: number
  readonly limits?: StoreLimits
}

/** A store that behaves like one at the other end of a network. */
export interface LaggingStore extends Store {
  /** Another node takes the lead: writes of the present term are refused at once, its `lost` tells it late. */
  loseTerm(): void
}

const defaultLagMs = 5

// Smaller than SQLite's, so that what cuts values and batches is made to.
const smallLimits: StoreLimits = { valueBytesMax: 16 * 1024, batchOperationsMax: 16, batchBytesMax: 24 * 1024 }

class Lagging implements LaggingStore {
  readonly type = 'lagging'
  readonly limits: StoreLimits
  readonly #inner: Store
  readonly #world: Pick<World, 'clock' | 'entropy'>
  readonly #lagMsMax: number
  readonly #closed = new AbortController()
  readonly #underWay = new Set<Promise<unknown>>()
  /** Settles when the last commit so far is applied. */
  #applied: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | null = null

  constructor(inner: Store, options: LaggingStoreOptions) {
    this.#inner = inner
    this.limits = inner.limits
    this.#world = options.world
    this.#lagMsMax = options.lagMsMax ?? defaultLagMs
  }

  get(key: StoreKey): Promise<Bytes | null> {
    return this.#late(() => this.#inner.get(key))
  }

  list(prefix: string, paging: Paging): Promise<ListPage> {
    return this.#late(() => this.#inner.list(prefix, paging))
  }

  scan(range: KeyRange, paging: Paging): Promise<ScanPage> {
    return this.#late(() => this.#inner.scan(range, paging))
  }

  head(): Promise<Revision> {
    return this.#late(() => this.#inner.head())
  }

  async commit(batch: StoreBatch, fence: Fence): Promise<Revision> {
    this.#assertOpen()
    const refusal = batchRefusal(batch, this.limits)
    if (refusal) throw refusal
    const sent = batch.map(({ key, value }) => ({ key, value: value && new Uint8Array(value) }))
    // Commits travel at once, and are applied in the order of the calls.
    const applied = Promise.all([this.#lag(), this.#applied]).then(() => this.#inner.commit(sent, fence))
    this.#applied = applied.catch(() => undefined)
    return this.#track(this.#andLag(applied))
  }

  async *changes(since: Revision, signal: AbortSignal): AsyncGenerator<StoreChange> {
    this.#assertOpen()
    const ended = AbortSignal.any([signal, this.#closed.signal])
    for await (const change of this.#inner.changes(since, ended)) {
      await this.#lag()
      if (ended.aborted) return
      yield change
    }
  }

  campaign(signal: AbortSignal): Promise<Term> {
    return this.#late(async () => {
      const term = await this.#inner.campaign(signal)
      const ended = new AbortController()
      term.lost.addEventListener('abort', () => {
        if (!ended.signal.aborted) void this.#lag().then(() => ended.abort(term.lost.reason))
      })
      this.#closed.signal.addEventListener('abort', () => ended.abort(this.#closed.signal.reason))
      const resign = async (): Promise<void> => {
        await this.#lag()
        ended.abort(new StoreError('fenced', `term ${term.term} was given up`))
        await term.resign()
      }
      return { term: term.term, lost: ended.signal, resign }
    })
  }

  purge(prefix: string, fence: Fence): Promise<void> {
    return this.#late(() => this.#inner.purge(prefix, fence))
  }

  loseTerm(): void {
    void this.#inner.campaign(new AbortController().signal)
  }

  copy(): Promise<StoreCopy> {
    return this.#late(() => this.#inner.copy())
  }

  stage(pages: AsyncIterable<readonly StoreEntry[]>): Promise<void> {
    return this.#late(() => this.#inner.stage(pages))
  }

  install(): Promise<void> {
    return this.#late(() => this.#inner.install())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#underWay)
    this.#closed.abort(closed())
    await this.#inner.close()
  }

  /** A call that takes its time on the way there and on the way back. */
  async #late<T>(call: () => T | Promise<T>): Promise<T> {
    this.#assertOpen()
    return this.#track(this.#andLag(this.#lag().then(call)))
  }

  async #andLag<T>(call: Promise<T>): Promise<T> {
    try {
      return await call
    } finally {
      await this.#lag()
    }
  }

  async #track<T>(call: Promise<T>): Promise<T> {
    this.#underWay.add(call)
    try {
      return await call
    } finally {
      this.#underWay.delete(call)
    }
  }

  #lag(): Promise<void> {
    return this.#world.clock.sleep(this.#world.entropy.below(this.#lagMsMax + 1))
  }

  #assertOpen(): void {
    if (this.#closing) throw closed()
  }
}

function closed(): StoreError {
  return new StoreError('closed', 'the store is closed')
}

/**
 * Memory with delay, small limits and terms that can be lost: so that SQLite, which answers reads at once, doesn't alone
 * shape what is built on stores. Under a virtual clock nothing moves until the clock does.
 * @throws StoreError `busy` when the medium is open already
 */
export function openLaggingStore(options: LaggingStoreOptions): LaggingStore {
  const medium = options.medium ?? new MemoryMedium()
  return new Lagging(openMemoryStore({ medium, limits: options.limits ?? smallLimits }), options)
}
