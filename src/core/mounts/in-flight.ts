import type { Clock } from '#ground/base/clock.ts'

/** The requests that hold a mount and wait for something; shared by all forms that the mount takes while it is open. */
export class InFlight {
  #count = 0
  #onIdle: (() => void)[] = []

  get count(): number {
    return this.#count
  }

  /** `leave` must follow, once. */
  enter(): void {
    this.#count++
  }

  leave(): void {
    this.#count--
    if (this.#count > 0) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  /**
   * Waits until none is left.
   * @returns false when `msMax` passed, or the signal was aborted, before that.
   */
  idle(clock: Clock, msMax: number, signal: AbortSignal): Promise<boolean> {
    if (this.#count === 0) return Promise.resolve(true)
    if (signal.aborted) return Promise.resolve(false)
    return new Promise(resolve => {
      const end = (isIdle: boolean): void => {
        timer[Symbol.dispose]()
        signal.removeEventListener('abort', onAbort)
        this.#onIdle = this.#onIdle.filter(one => one !== onIdle)
        resolve(isIdle)
      }
      const onIdle = (): void => end(true)
      const onAbort = (): void => end(false)
      const timer = clock.after(msMax, () => end(false))
      this.#onIdle.push(onIdle)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}
