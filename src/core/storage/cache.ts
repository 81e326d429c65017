/**
 * Decoded entries by storage key, bounded by bytes; `null` remembers that there is none. Two generations instead of a
 * linked list: a hit in the old one moves the entry to the young one; when the young one is full it becomes the old
 * one. A hit costs a map look-up, and what is used stays.
 */
export class EntryCache {
  #young = new Map<string, Cached>()
  #old = new Map<string, Cached>()
  #youngBytes = 0
  readonly #generationBytes: number

  /** @param bytesMax estimate of all that is held; each generation gets half. */
  constructor(bytesMax: number) {
    this.#generationBytes = bytesMax / 2
  }

  /** @returns undefined when nothing is known of the key. */
  get(key: string): Cached | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old === undefined) return undefined
    this.#old.delete(key)
    this.#keep(key, old)
    return old
  }

  /** @param bytes size of the entry as kept; the cost of key and maps is added here. */
  set(key: string, entry: unknown, bytes: number): void {
    this.delete(key)
    this.#keep(key, { entry, cost: bytes * 2 + key.length * 2 + 200 })
  }

  delete(key: string): void {
    const young = this.#young.get(key)
    if (young !== undefined) {
      this.#youngBytes -= young.cost
      this.#young.delete(key)
    }
    this.#old.delete(key)
  }

  /** Forgets every key that starts so. */
  deletePrefix(prefix: string): void {
    for (const generation of [this.#young, this.#old]) {
      for (const key of generation.keys()) if (key.startsWith(prefix)) this.delete(key)
    }
  }

  clear(): void {
    this.#young = new Map()
    this.#old = new Map()
    this.#youngBytes = 0
  }

  #keep(key: string, cached: Cached): void {
    if (cached.cost > this.#generationBytes / 4) return
    if (this.#youngBytes + cached.cost > this.#generationBytes) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(key, cached)
    this.#youngBytes += cached.cost
  }
}

export type Cached = { readonly entry: unknown; readonly cost: number }
