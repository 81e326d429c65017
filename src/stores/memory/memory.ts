import type { Bytes } from '#ground/base/brand.ts'
import { compareUtf8 } from '#ground/text/compare.ts'
import { batchRefusal, deletions } from '#stores/batch.ts'
import { ChangeRing } from '#stores/change-ring.ts'
import { assertPaging, pageBytesMax, rangeBelow, scanStart } from '#stores/keys.ts'
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
  type StoreEntry,
  StoreError,
  type StoreKey,
  type StoreLimits,
  type Term,
} from '#stores/store.ts'
import { Terms } from '#stores/terms.ts'
import { SortedKeys } from './sorted-keys.ts'

/** What survives the closing of a memory store: hand it to the next `openMemoryStore` to play a restart. */
export class MemoryMedium {
  readonly #values = new Map<StoreKey, Bytes>()
  readonly #keys = new SortedKeys()
  revision: Revision = 0
  term = 0
  isOpen = false

  get(key: StoreKey): Bytes | undefined {
    return this.#values.get(key)
  }

  apply(batch: StoreBatch): void {
    for (const { key, value } of batch) {
      if (value) {
        if (!this.#values.has(key)) this.#keys.add(key)
        this.#values.set(key, copy(value))
      } else if (this.#values.delete(key)) this.#keys.delete(key)
    }
  }

  /** Keys from `from` (included) on, in order. */
  from(from: StoreKey): Iterable<StoreKey> {
    return this.#keys.from(from)
  }
}

// A Buffer's own `slice` shares its memory.
function copy(value: Bytes): Bytes {
  return new Uint8Array(value)
}

class MemoryStore implements Store {
  readonly type = 'inmem'
  readonly limits: StoreLimits
  readonly #medium: MemoryMedium
  readonly #ring: ChangeRing
  readonly #terms: Terms
  #isClosed = false

  constructor(medium: MemoryMedium, limits: StoreLimits) {
    this.#medium = medium
    this.limits = limits
    this.#ring = new ChangeRing(medium.revision)
    this.#terms = new Terms(medium.term)
  }

  get(key: StoreKey): Bytes | null {
    this.#assertOpen()
    const value = this.#medium.get(key)
    return value ? copy(value) : null
  }

  list(prefix: string, paging: Paging): ListPage {
    this.#assertOpen()
    return listOneLevel(prefix, paging, (from, limit) => Array.from(take(this.#medium.from(from), limit)))
  }

  scan(range: KeyRange, paging: Paging): ScanPage {
    this.#assertOpen()
    assertPaging(paging)
    const entries: StoreEntry[] = []
    let bytes = 0
    for (const key of this.#medium.from(scanStart(range, paging))) {
      if (compareUtf8(key, range.to) >= 0) break
      if (entries.length === paging.limit || bytes >= pageBytesMax) return { entries, more: true }
      const value = copy(this.#medium.get(key)!)
      bytes += value.length
      entries.push({ key, value })
    }
    return { entries, more: false }
  }

  async commit(batch: StoreBatch, fence: Fence): Promise<Revision> {
    this.#assertOpen()
    const refusal = batchRefusal(batch, this.limits) ?? this.#terms.refusal(fence)
    if (refusal) throw refusal
    this.#terms.see(fence.term)
    this.#medium.term = this.#terms.last
    this.#medium.apply(batch)
    const revision = ++this.#medium.revision
    this.#ring.push(
      revision,
      batch.map(operation => operation.key),
    )
    return revision
  }

  head(): Revision {
    this.#assertOpen()
    return this.#medium.revision
  }

  changes(since: Revision, signal: AbortSignal): AsyncIterable<StoreChange> {
    this.#assertOpen()
    return this.#ring.read(since, signal)
  }

  async campaign(signal: AbortSignal): Promise<Term> {
    this.#assertOpen()
    signal.throwIfAborted()
    const term = this.#terms.next()
    this.#medium.term = term.term
    return term
  }

  async purge(prefix: string, fence: Fence): Promise<void> {
    this.#assertOpen()
    const below = Array.from(takeWhileBelow(this.#medium.from(prefix), rangeBelow(prefix).to))
    for (const batch of deletions(below, this.limits)) await this.commit(batch, fence)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#medium.isOpen = false
    this.#ring.end(null)
    this.#terms.end(closed())
  }

  #assertOpen(): void {
    if (this.#isClosed) throw closed()
  }
}

function closed(): StoreError {
  return new StoreError('closed', 'the store is closed')
}

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  let left = count
  for (const item of items) {
    yield item
    if (--left === 0) return
  }
}

function* takeWhileBelow(keys: Iterable<StoreKey>, to: StoreKey): Generator<StoreKey> {
  for (const key of keys) {
    if (compareUtf8(key, to) >= 0) return
    yield key
  }
}

/**
 * A store in this process's memory, Vault's `inmem`: nothing survives but what `medium` is kept for. All its reads
 * answer at once.
 * @throws StoreError `busy` when the medium is open already
 */
export function openMemoryStore(options: { medium?: MemoryMedium; limits?: StoreLimits } = {}): Store {
  const medium = options.medium ?? new MemoryMedium()
  if (medium.isOpen) throw new StoreError('busy', 'this memory is open already')
  medium.isOpen = true
  return new MemoryStore(medium, options.limits ?? defaultLimits)
}
