import type { Instant } from '#ground/base/clock.ts'

type Count = { readonly failures: number; readonly last: Instant }

/** Refused logins in a row, by name. Bounded: of too many names the one that was refused longest ago is forgotten. */
export class Tally {
  readonly #counts = new Map<string, Count>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** @returns how many it are with this one. @param resetMs without a refusal, after which it counts anew. */
  add(name: string, now: Instant, resetMs: number): number {
    const before = this.#counts.get(name)
    const failures = before !== undefined && now - before.last < resetMs ? before.failures + 1 : 1
    // Behind all others.
    this.#counts.delete(name)
    this.#counts.set(name, { failures, last: now })
    if (this.#counts.size > this.#max) this.#counts.delete(this.#counts.keys().next().value!)
    return failures
  }

  clear(name: string): void {
    this.#counts.delete(name)
  }

  clearBelow(prefix: string): void {
    for (const name of this.#counts.keys()) if (name.startsWith(prefix)) this.#counts.delete(name)
  }
}
