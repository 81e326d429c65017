import { HttpClientError } from './dial.ts'

/** Lets a number of requests go on at once; the others wait in order, up to a bound. */
export class Slots {
  #free: number
  readonly #waitingMax: number
  // A Set keeps the order, and gives up a waiter that was aborted without a search.
  readonly #waiting = new Set<() => void>()

  constructor(count: number, waitingMax: number) {
    this.#free = count
    this.#waitingMax = waitingMax
  }

  /**
   * Waits for a slot. @returns gives it back; more calls than one do nothing.
   * @throws HttpClientError `busy`; the signal's reason
   */
  async take(signal: AbortSignal): Promise<() => void> {
    if (this.#free > 0) this.#free--
    else if (this.#waiting.size >= this.#waitingMax) {
      throw new HttpClientError('busy', `more than ${this.#waitingMax} requests wait for a connection`)
    } else await this.#wait(signal)
    let isHeld = true
    return () => {
      if (isHeld) this.#give()
      isHeld = false
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = (): void => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = (): void => {
        this.#waiting.delete(onTurn)
        reject(signal.reason)
      }
      this.#waiting.add(onTurn)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #give(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free++
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
