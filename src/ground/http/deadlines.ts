import type { Clock } from '#ground/base/clock.ts'

/** Something that must not last. `deadlineMs` is in the time of `Deadlines.nowMs`; Infinity when nothing is due. */
export interface Timed {
  deadlineMs: number
  onDeadline(): void
}

/**
 * One timer for all connections: every `periodMs` it looks who is overdue. Setting a deadline is then one addition; no
 * clock is read and no timer made for a request. A deadline is never early, and late by at most two periods.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #periodMs: number
  readonly #watched = new Set<Timed>()
  #timer: Disposable | null = null
  #nowMs: number

  constructor(clock: Clock, periodMs: number) {
    this.#clock = clock
    this.#periodMs = periodMs
    this.#nowMs = clock.monotonic()
  }

  /** The time `ms` from now. */
  in(ms: number): number {
    // The time kept is up to a period old: without the addition a deadline could come early.
    return this.#nowMs + this.#periodMs + ms
  }

  add(timed: Timed): void {
    this.#watched.add(timed)
    if (this.#timer !== null) return
    this.#nowMs = this.#clock.monotonic()
    this.#arm()
  }

  remove(timed: Timed): void {
    this.#watched.delete(timed)
    if (this.#watched.size > 0) return
    this.#timer?.[Symbol.dispose]()
    this.#timer = null
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#periodMs, () => {
      this.#timer = null
      this.#nowMs = this.#clock.monotonic()
      for (const timed of this.#watched) {
        if (timed.deadlineMs > this.#nowMs) continue
        timed.deadlineMs = Number.POSITIVE_INFINITY
        timed.onDeadline()
      }
      if (this.#watched.size > 0 && this.#timer === null) this.#arm()
    })
  }
}
