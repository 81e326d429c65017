import { compareUtf8 } from '#ground/text/compare.ts'
import type { StoreKey } from '#stores/store.ts'

// An insertion moves at most this many pointers; a million keys make 2,000 to 4,000 chunks.
const chunkMax = 512

/** A set of keys in order of their UTF-8 bytes: chunks of a sorted array, none of them empty. */
export class SortedKeys {
  readonly #chunks: StoreKey[][] = []

  /** @param key isn't in the set. */
  add(key: StoreKey): void {
    const chunks = this.#chunks
    if (chunks.length === 0) {
      chunks.push([key])
      return
    }
    const at = Math.max(0, this.#chunkOf(key))
    const chunk = chunks[at]!
    chunk.splice(lowerBound(chunk, key), 0, key)
    if (chunk.length > chunkMax) chunks.splice(at + 1, 0, chunk.splice(chunkMax / 2))
  }

  /** @param key is in the set. */
  delete(key: StoreKey): void {
    const at = this.#chunkOf(key)
    const chunk = this.#chunks[at]!
    chunk.splice(lowerBound(chunk, key), 1)
    if (chunk.length === 0) this.#chunks.splice(at, 1)
  }

  /** Keys from `from` (included) on; the set mustn't change meanwhile. */
  *from(from: StoreKey): Generator<StoreKey> {
    let at = Math.max(0, this.#chunkOf(from))
    let index = at < this.#chunks.length ? lowerBound(this.#chunks[at]!, from) : 0
    for (; at < this.#chunks.length; at++, index = 0) {
      const chunk = this.#chunks[at]!
      for (; index < chunk.length; index++) yield chunk[index]!
    }
  }

  /** The chunk in which `key` is or would be; -1 when it comes before all. */
  #chunkOf(key: StoreKey): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareUtf8(this.#chunks[middle]![0]!, key) <= 0) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

/** The index of the first key that isn't before `key`. */
function lowerBound(keys: readonly StoreKey[], key: StoreKey): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareUtf8(keys[middle]!, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
