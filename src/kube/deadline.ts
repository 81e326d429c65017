import type { Clock } from '#ground/base/clock.ts'

/**
 * A signal that is aborted when one of `signals` is, or after `ms`. Made by hand since `AbortSignal.any` holds on to
 * long-lived signals; disposing lets go of them.
 */
export class Deadline implements Disposable {
  readonly ms: number
  readonly #controller = new AbortController()
  readonly #clock: Clock
  #endsAt: number
  readonly #signals: readonly AbortSignal[]
  readonly #onAbort = (event: Event): void => this.#controller.abort((event.target as AbortSignal).reason)
  #timer: Disposable | null
  #isOver = false

  constructor(clock: Clock, ms: number, signals: readonly AbortSignal[]) {
    this.ms = ms
    this.#clock = clock
    this.#endsAt = clock.monotonic() + ms
    this.#signals = signals
    this.#timer = this.#arm(ms)
    for (const signal of signals) {
      if (signal.aborted) this.#controller.abort(signal.reason)
      else signal.addEventListener('abort', this.#onAbort)
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The time, and not a signal, ended it. */
  get isOver(): boolean {
    return this.#isOver
  }

  leftMs(): number {
    return Math.max(0, this.#endsAt - this.#clock.monotonic())
  }

  /** The time begins anew. The timer isn't touched: it looks at the new end when it fires. */
  extend(ms: number): void {
    this.#endsAt = this.#clock.monotonic() + ms
  }

  /** From now on only the signals count. */
  disarm(): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = null
  }

  abort(): void {
    this.#controller.abort()
  }

  [Symbol.dispose](): void {
    this.disarm()
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#onAbort)
  }

  #arm(ms: number): Disposable {
    return this.#clock.after(ms, () => {
      const leftMs = this.leftMs()
      if (leftMs > 0) {
        this.#timer = this.#arm(leftMs)
        return
      }
      this.#isOver = true
      this.#controller.abort(new Error(`no end within ${this.ms} ms`))
    })
  }
}
