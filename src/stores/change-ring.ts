import { assert } from '#ground/base/assert.ts'
import type { Revision, StoreChange, StoreKey } from './store.ts'

export type RingBounds = { readonly commitsMax: number; readonly keysMax: number }

const defaultBounds: RingBounds = { commitsMax: 8_192, keysMax: 65_536 }

/**
 * The keys of the last commits, in memory, for any number of readers of `changes`. Readers hold a position and no
 * queue: one that falls further behind than the ring reaches is told `lost`.
 */
export class ChangeRing {
  readonly #bounds: RingBounds
  /** Keys of the commits `#first` … `#head`. */
  readonly #commits: (readonly StoreKey[])[] = []
  #first: Revision
  #head: Revision
  #keyCount = 0
  readonly #waiting = new Set<() => void>()
  #end: { readonly failure: Error | null } | null = null

  /** @param head the revision of the store as it was opened: what came before can't be told. */
  constructor(head: Revision, bounds: RingBounds = defaultBounds) {
    this.#head = head
    this.#first = head + 1
    this.#bounds = bounds
  }

  get head(): Revision {
    return this.#head
  }

  /** @param revision the one after `head`. */
  push(revision: Revision, keys: readonly StoreKey[]): void {
    assert(revision === this.#head + 1, 'commits come in order')
    this.#head = revision
    this.#commits.push(keys)
    this.#keyCount += keys.length
    while (this.#commits.length > this.#bounds.commitsMax || this.#keyCount > this.#bounds.keysMax) {
      this.#keyCount -= this.#commits.shift()?.length ?? 0
      this.#first++
    }
    this.#wake()
  }

  /** Ends all readers: quietly, or with `failure`. */
  end(failure: Error | null): void {
    this.#end ??= { failure }
    this.#wake()
  }

  async *read(since: Revision, signal: AbortSignal): AsyncGenerator<StoreChange> {
    let seen = since
    while (!signal.aborted) {
      if (this.#end) {
        if (this.#end.failure) throw this.#end.failure
        return
      }
      if (seen === this.#head) await this.#more(signal)
      else {
        const keys = seen > this.#head ? undefined : this.#commits[seen + 1 - this.#first]
        seen = keys ? seen + 1 : this.#head
        yield keys ? { kind: 'changed', revision: seen, keys } : { kind: 'lost', revision: seen }
      }
    }
  }

  async #more(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    signal.addEventListener('abort', wake)
    this.#waiting.add(wake)
    await promise
    this.#waiting.delete(wake)
    signal.removeEventListener('abort', wake)
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }
}
