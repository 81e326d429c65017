/** Somebody reads a key, and must know when what comes may be old. */
export type Watch = { readonly key: string; isOutdated: boolean; readers: number }

/** Reads that wait on the store, by key: told when the key is written or forgotten meanwhile. */
export class Watches {
  readonly #byKey = new Map<string, Watch>()

  /** How many keys are being read; 0 = nobody needs to be told. */
  get size(): number {
    return this.#byKey.size
  }

  /** Before the store is asked; `end` must follow. */
  begin(key: string): Watch {
    const known = this.#byKey.get(key)
    if (known !== undefined) {
      known.readers++
      return known
    }
    const watch = { key, isOutdated: false, readers: 1 }
    this.#byKey.set(key, watch)
    return watch
  }

  end(watch: Watch): void {
    if (--watch.readers === 0 && this.#byKey.get(watch.key) === watch) this.#byKey.delete(watch.key)
  }

  /** Who begins from now on reads anew. */
  outdate(key: string): void {
    const watch = this.#byKey.get(key)
    if (watch === undefined) return
    watch.isOutdated = true
    this.#byKey.delete(key)
  }

  outdateBelow(prefix: string): void {
    for (const key of this.#byKey.keys()) if (key.startsWith(prefix)) this.outdate(key)
  }
}
