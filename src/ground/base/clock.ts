import type { Brand } from './brand.ts'

/** Wall time in whole milliseconds since 1970, UTC. What is stored as an expiry is an Instant. */
export type Instant = Brand<number, 'Instant'>

/** A length of time in whole seconds. */
export type Seconds = Brand<number, 'Seconds'>

export const instant = (ms: number): Instant => Math.trunc(ms) as Instant
export const seconds = (value: number): Seconds => Math.trunc(value) as Seconds

/**
 * Time as a value that is handed in; `ground` and everything above takes it from here and nowhere else.
 * `after` and `sleep` never fire early by this clock; a process that was stopped fires them late.
 */
export interface Clock {
  /** Wall time. */
  now(): Instant
  /** Milliseconds that only grow, for measuring; not comparable between processes. */
  monotonic(): number
  /**
   * Waits. @param ms longer than 2^31-1 is allowed.
   * @throws the signal's reason when it is aborted, before or during the wait.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls back once; disposing cancels. Doesn't keep the process alive unless `keepAlive`. */
  after(ms: number, callback: () => void, options?: { keepAlive?: boolean }): Disposable
}

const longestTimerMs = 2 ** 31 - 1

class SystemClock implements Clock {
  now(): Instant {
    return Date.now() as Instant
  }

  monotonic(): number {
    return performance.now()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const timer = this.after(
        ms,
        () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        { keepAlive: true },
      )
      const onAbort = (): void => {
        timer[Symbol.dispose]()
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  after(ms: number, callback: () => void, options?: { keepAlive?: boolean }): Disposable {
    let timer: NodeJS.Timeout
    const arm = (left: number): void => {
      timer = setTimeout(
        () => (left > longestTimerMs ? arm(left - longestTimerMs) : callback()),
        Math.min(left, longestTimerMs),
      )
      if (!options?.keepAlive) timer.unref()
    }
    arm(Math.max(0, ms))
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  }
}

/** The machine's clock. */
export const systemClock: Clock = new SystemClock()

/** A clock that moves only when told, for tests and `test/sim`. */
export interface VirtualClock extends Clock {
  /** Moves on and fires what is due in order of time; resolves when the callbacks' microtasks are through. */
  advance(ms: number): Promise<void>
  /** How many timers wait; a test asserts 0 at its end. */
  readonly waiting: number
}

type Waiter = { at: number; order: number; callback: () => void }

class ManualClock implements VirtualClock {
  #now: number
  #order = 0
  #waiters: Waiter[] = []

  constructor(start: number) {
    this.#now = start
  }

  get waiting(): number {
    return this.#waiters.length
  }

  // Whole, as a real one's: a test may advance by less than a millisecond.
  now(): Instant {
    return instant(this.#now)
  }

  monotonic(): number {
    return this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return SystemClock.prototype.sleep.call(this, ms, signal)
  }

  after(ms: number, callback: () => void): Disposable {
    const waiter = { at: this.#now + Math.max(0, ms), order: this.#order++, callback }
    this.#waiters.push(waiter)
    return {
      [Symbol.dispose]: () => {
        this.#waiters = this.#waiters.filter(w => w !== waiter)
      },
    }
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const due = this.#waiters.filter(w => w.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0]
      if (!due) break
      this.#now = Math.max(this.#now, due.at)
      this.#waiters = this.#waiters.filter(w => w !== due)
      due.callback()
      await new Promise(resolve => setImmediate(resolve))
    }
    this.#now = end
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** @param start wall time of the beginning, ms; the default is 2026-01-01T00:00:00Z. */
export function virtualClock(start = 1_767_225_600_000): VirtualClock {
  return new ManualClock(start)
}
