import type { Bytes, Maybe } from '#ground/base/brand.ts'
import { deletions } from '#stores/batch.ts'
import { keyAfter, rangeBelow } from '#stores/keys.ts'
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
  type Term,
} from '#stores/store.ts'

/**
 * Which call fails, counted from 1 over the life of the wrapper.
 * - `commit`, `isApplied` false: nothing of it is written. True: all of it is, and the caller isn't told.
 * - `full`: the commits from `at` to `to` find no room; the store goes on.
 * - `read`: a `get`, `list`, `scan` or `head`.
 */
export type FaultPlan =
  | { readonly call: 'commit'; readonly at: number; readonly isApplied: boolean }
  | { readonly call: 'full'; readonly at: number; readonly to: number }
  | { readonly call: 'read'; readonly at: number }

export interface FaultyStore extends Store {
  /** Commits asked for so far; a plan beyond this had nothing to fail. */
  readonly commits: number
  readonly reads: number
  readonly hasFailed: boolean
}

class Faulty implements FaultyStore {
  readonly #inner: Store
  readonly #plan: FaultPlan
  readonly #failed = new AbortController()
  #failure: StoreError | null = null
  commits = 0
  reads = 0

  constructor(inner: Store, plan: FaultPlan) {
    this.#inner = inner
    this.#plan = plan
  }

  get type(): string {
    return this.#inner.type
  }

  get limits(): Store['limits'] {
    return this.#inner.limits
  }

  get hasFailed(): boolean {
    return this.#failure !== null
  }

  get(key: StoreKey): Maybe<Bytes | null> {
    return this.#read(() => this.#inner.get(key))
  }

  list(prefix: string, paging: Paging): Maybe<ListPage> {
    return this.#read(() => this.#inner.list(prefix, paging))
  }

  scan(range: KeyRange, paging: Paging): Maybe<ScanPage> {
    return this.#read(() => this.#inner.scan(range, paging))
  }

  head(): Maybe<Revision> {
    return this.#read(() => this.#inner.head())
  }

  async commit(batch: StoreBatch, fence: Fence): Promise<Revision> {
    this.#assertUsable()
    this.commits++
    const plan = this.#plan
    if (plan.call === 'full' && this.commits >= plan.at && this.commits <= plan.to) {
      throw new StoreError('full', `commit ${this.commits} was made to find no room`)
    }
    if (plan.call !== 'commit' || this.commits !== plan.at) return this.#unlessFailed(this.#inner.commit(batch, fence))
    if (!plan.isApplied) throw this.#fail()
    // Called before this returns, so that commits stay in order; what comes after it finds the store failed.
    const applied = this.#inner.commit(batch, fence)
    const failure = this.#fail()
    await applied
    throw failure
  }

  async *changes(since: Revision, signal: AbortSignal): AsyncGenerator<StoreChange> {
    this.#assertUsable()
    for await (const change of this.#inner.changes(since, AbortSignal.any([signal, this.#failed.signal]))) yield change
    if (!signal.aborted) this.#assertUsable()
  }

  async campaign(signal: AbortSignal): Promise<Term> {
    this.#assertUsable()
    const term = await this.#inner.campaign(signal)
    return { term: term.term, lost: AbortSignal.any([term.lost, this.#failed.signal]), resign: () => term.resign() }
  }

  async purge(prefix: string, fence: Fence): Promise<void> {
    const { from, to } = rangeBelow(prefix)
    let next = from
    for (;;) {
      const { entries, more } = await this.scan({ from: next, to }, { limit: 100 })
      const keys = entries.map(entry => entry.key)
      for (const batch of deletions(keys, this.limits)) await this.commit(batch, fence)
      const last = keys.at(-1)
      if (!more || last === undefined) return
      next = keyAfter(last)
    }
  }

  copy(): Maybe<StoreCopy> {
    return this.#read(() => this.#inner.copy())
  }

  stage(pages: AsyncIterable<readonly StoreEntry[]>): Promise<void> {
    this.#assertUsable()
    return this.#inner.stage(pages)
  }

  install(): Promise<void> {
    this.#assertUsable()
    return this.#inner.install()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #read<T>(read: () => Maybe<T>): Maybe<T> {
    this.#assertUsable()
    this.reads++
    if (this.#plan.call === 'read' && this.reads === this.#plan.at) throw this.#fail()
    return read()
  }

  /** A commit that was under way when the store failed may be there; its caller isn't told. */
  async #unlessFailed(commit: Promise<Revision>): Promise<Revision> {
    const revision = await commit
    this.#assertUsable()
    return revision
  }

  #fail(): StoreError {
    this.#failure = new StoreError('failed', `${this.#plan.call} ${this.#plan.at} was made to fail`)
    this.#failed.abort(this.#failure)
    return this.#failure
  }

  #assertUsable(): void {
    if (this.#failure) throw this.#failure
  }
}

/**
 * A store whose n-th commit or read fails as a broken disk would: that call is refused as `failed`, and so is every one
 * after it, until the medium is opened again; or one whose commits are refused as `full` for a while. For tests and
 * `test/sim`, which try every n.
 */
export function faultyStore(inner: Store, plan: FaultPlan): FaultyStore {
  return new Faulty(inner, plan)
}
