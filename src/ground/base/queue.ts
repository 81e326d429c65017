/**
 * A first-in first-out queue with a bound. `push` tells when it is full instead of growing: the caller decides what a
 * full queue means (drop and say so, refuse, wait).
 */
export class BoundedQueue<T> {
  readonly #items: T[] = []
  readonly #capacity: number
  #wake: (() => void) | null = null
  #closed = false

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#items.length
  }

  /** @returns false when the queue is full or closed; the item isn't in it then. */
  push(item: T): boolean {
    if (this.#closed || this.#items.length >= this.#capacity) return false
    this.#items.push(item)
    this.#wake?.()
    return true
  }

  shift(): T | undefined {
    return this.#items.shift()
  }

  clear(): void {
    this.#items.length = 0
  }

  /** No more items; a reader that waits is woken and ends after the rest. */
  close(): void {
    this.#closed = true
    this.#wake?.()
  }

  /** Items in order, waiting for more, until closed or aborted. One reader at a time. */
  async *read(signal?: AbortSignal): AsyncGenerator<T> {
    const onAbort = (): void => this.#wake?.()
    signal?.addEventListener('abort', onAbort)
    try {
      for (;;) {
        if (signal?.aborted) return
        const item = this.#items.shift()
        if (item !== undefined) yield item
        else if (this.#closed) return
        else {
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
          this.#wake = null
        }
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }
}

/** Runs at most `width` pieces of work at once; the rest waits in order. */
export class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(width: number) {
    this.#free = width
  }

  get waiting(): number {
    return this.#waiting.length
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}
