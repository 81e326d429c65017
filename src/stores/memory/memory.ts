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
  type StoreCopy,
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

  /** What is there, by reference: no value is ever changed in place. */
  entries(): readonly StoreEntry[] {
    return Array.from(this.#keys.from(''), key => ({ key, value: this.#values.get(key)! }))
  }

  replace(entries: readonly StoreEntry[]): void {
    for (const key of Array.from(this.#keys.from(''))) this.#keys.delete(key)
    this.#values.clear()
    this.apply(entries)
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

const pageEntries = 100

class MemoryStore implements Store {
  readonly type = 'inmem'
  readonly limits: StoreLimits
  readonly #medium: MemoryMedium
  #ring: ChangeRing
  readonly #terms: Terms
  #staged: readonly StoreEntry[] | null = null
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

  copy(): StoreCopy {
    this.#assertOpen()
    const entries = this.#medium.entries()
    return { revision: this.#medium.revision, pages: pagesOf(entries), [Symbol.dispose]: () => undefined }
  }

  async stage(pages: AsyncIterable<readonly StoreEntry[]>): Promise<void> {
    this.#assertOpen()
    const entries: StoreEntry[] = []
    for await (const page of pages) entries.push(...page.map(({ key, value }) => ({ key, value: copy(value) })))
    this.#staged = entries
  }

  async install(): Promise<void> {
    this.#assertOpen()
    if (this.#staged === null) throw new StoreError('failed', 'nothing is staged')
    this.#terms.see(this.#terms.last + 1)
    this.#medium.term = this.#terms.last
    this.#medium.replace(this.#staged)
    this.#staged = null
    this.#medium.revision++
    this.#ring.end(null)
    this.#ring = new ChangeRing(this.#medium.revision)
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

async function* pagesOf(entries: readonly StoreEntry[]): AsyncGenerator<readonly StoreEntry[]> {
  for (let at = 0; at < entries.length; at += pageEntries) yield entries.slice(at, at + pageEntries)
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
