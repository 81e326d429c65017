import type { Split } from './parts.ts'

/** Where the parts of large values lie: of those that were written, read or swept. Bounded: the oldest are forgotten. */
export class Splits {
  readonly #byKey = new Map<string, Split>()
  readonly #max: number
  #isPartial = false

  constructor(max: number) {
    this.#max = max
  }

  /** Some were forgotten: of a key that isn't here it isn't known whether it has parts. */
  get isPartial(): boolean {
    return this.#isPartial
  }

  set(key: string, split: Split): void {
    this.#byKey.delete(key)
    this.#byKey.set(key, split)
    if (this.#byKey.size <= this.#max) return
    this.#isPartial = true
    const [oldest] = this.#byKey.keys()
    this.#byKey.delete(oldest!)
  }

  /** What was kept of the key may not be so. */
  forget(key: string): void {
    if (this.#byKey.delete(key)) this.#isPartial = true
  }

  /** @returns the parts of the value that this one replaces, as far as known. */
  replace(key: string, split: Split | null): Split | null {
    if (this.#byKey.size === 0 && split === null) return null
    const old = this.#byKey.get(key) ?? null
    if (split !== null) this.set(key, split)
    else if (old !== null) this.#byKey.delete(key)
    return old
  }
}
