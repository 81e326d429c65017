import type { Bytes, Maybe } from '#ground/base/brand.ts'

/**
 * A storage key: printable segments joined by `/`, compared by its UTF-8 bytes. A key and the folder of the same name
 * may both exist (`a`, `a/b`). Length 1 to 2,048 bytes.
 */
export type StoreKey = string

export type StoreOperation = {
  readonly key: StoreKey /** null deletes; deleting what isn't there is no error. */
  readonly value: Bytes | null
}

/** Changed together or not at all. Two operations on one key: the last wins. */
export type StoreBatch = readonly StoreOperation[]

/** Which term of leadership a write belongs to; a store refuses a batch of an older term than the last it saw. */
export type Fence = { readonly term: number }

/** Counts commits; grows by at least one with each. A revision of one store says nothing about another's. */
export type Revision = number

/** One level below a prefix: leaf names, and folder names with a trailing `/`. Sorted by bytes. */
export type ListPage = {
  readonly names: readonly string[] /** More follow: ask again with `after` = the last name. */
  readonly more: boolean
}

export type StoreEntry = { readonly key: StoreKey; readonly value: Bytes }
export type ScanPage = { readonly entries: readonly StoreEntry[]; readonly more: boolean }

/** `after` is exclusive; `limit` 1 to 1,000. */
export type Paging = { readonly after?: string; readonly limit: number }

/** Half-open: `from` included, `to` excluded. */
export type KeyRange = { readonly from: StoreKey; readonly to: StoreKey }

/** What a reader of `changes` gets: keys in order of commit, or word that older changes can't be told any more. */
export type StoreChange =
  | { readonly kind: 'changed'; readonly revision: Revision; readonly keys: readonly StoreKey[] }
  | { readonly kind: 'lost'; readonly revision: Revision }

export type StoreLimits = {
  /** Bytes of one value. */
  readonly valueBytesMax: number
  /** Operations in one batch. */
  readonly batchOperationsMax: number
  /** Bytes of all keys and values in one batch. */
  readonly batchBytesMax: number
}

export const defaultLimits: StoreLimits = {
  valueBytesMax: 256 * 1024,
  batchOperationsMax: 128,
  batchBytesMax: 512 * 1024,
}

/**
 * Why a store refused.
 * - `busy`: another process has it open (`holder` says which, when known).
 * - `fenced`: the batch's term is older than the newest; this node leads no more.
 * - `too-large`: over `limits`; nothing was written.
 * - `full`: the medium has no room. Surely nothing of the batch is there, nor of any that was handed over after it and
 *   before its caller could know: they are refused, too, as is every commit of the next second, so that nothing builds on
 *   what was lost. Reads go on, and the next commit after that is tried as any other.
 * - `failed`: the medium failed. Of a `commit`, it is unknown whether the batch is there; the store answers no further
 *   call until it is opened again, so that nobody builds on what may be gone.
 * - `closed`: after `close`.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: 'busy' | 'fenced' | 'too-large' | 'full' | 'failed' | 'closed'

  constructor(code: StoreError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** Leadership over a store: one holder at a time. `lost` is aborted when it ends; `resign` gives it up. */
export type Term = Fence & { readonly lost: AbortSignal; resign(): Promise<void> }

/** All entries as they were in one instant, whatever is written meanwhile. To be disposed of soon: it holds old pages. */
export type StoreCopy = Disposable & {
  readonly revision: Revision
  /** In order of key; pages of some 128 KiB. Read once. */
  readonly pages: AsyncIterable<readonly StoreEntry[]>
}

/**
 * Ordered keys and bytes, durable, for one writer at a time. Stores see ciphertext only (`core/barrier`). Each
 * implementation passes `store.contract.ts`, and the suite that fails its n-th write for every n.
 *
 * Reads see every commit that has resolved, and may see one that hasn't yet.
 */
export interface Store {
  /** `sqlite`, `inmem`, …: what `sys/seal-status` shows as `storage_type`. */
  readonly type: string
  readonly limits: StoreLimits

  /** @returns null when there is no such key. The bytes are the caller's. */
  get(key: StoreKey): Maybe<Bytes | null>

  /** One level below `prefix` (empty or ending in `/`). */
  list(prefix: string, paging: Paging): Maybe<ListPage>

  /**
   * Whole entries in order of key. A page may hold fewer than `limit` and still have `more`: it ends early once it holds
   * 4 MiB. Go on with `after` = the last key.
   */
  scan(range: KeyRange, paging: Paging): Maybe<ScanPage>

  /**
   * Atomic; durable when it resolves: it survives `kill -9` of the process and, where the medium honours fsync, loss
   * of power. Batches are applied in the order of the calls.
   * @throws StoreError `fenced`, `too-large`, `full`, `failed`, `closed`
   */
  commit(batch: StoreBatch, fence: Fence): Promise<Revision>

  /** The revision of the last commit that is durable. */
  head(): Maybe<Revision>

  /**
   * Changes after `since`, as they come, each commit once and in order, so that a reader's last revision reaches
   * `head()`. Ends when the signal is aborted or the store closes; throws when the store failed.
   */
  changes(since: Revision, signal: AbortSignal): AsyncIterable<StoreChange>

  /**
   * Waits until this process leads. A single-node store grants at once, with a term one higher than the last, which it
   * ends. A term that was granted, lost or resigned is never granted again, not even after reopening.
   */
  campaign(signal: AbortSignal): Promise<Term>

  /** Deletes everything below `prefix` (ending in `/`), in bounded commits; may be called again after an interruption. */
  purge(prefix: string, fence: Fence): Promise<void>

  copy(): Maybe<StoreCopy>

  /**
   * Writes another content aside, while the present one serves on. Durable when it resolves: from then on the next opening
   * of the store, or `install`, finds those entries and no others. What is written until then is lost with the rest.
   * @throws what `pages` throws, and StoreError: then nothing changed, and nothing is left aside.
   */
  stage(pages: AsyncIterable<readonly StoreEntry[]>): Promise<void>

  /** Puts what was staged in the place of the present content. All terms end, and all readers of `changes`. */
  install(): Promise<void>

  /** Waits for what is under way, then releases files, locks and threads. Safe to call twice. */
  close(): Promise<void>
}
