import type { HttpResponse } from './message.ts'

/** A connection with answers that wait to be written. */
export interface Flushable {
  /** @param instead sent for every answer that waits, when they may not go out. */
  flush(instead: HttpResponse | null): void
}

/**
 * Writes the answers of one turn of the event loop together, after one call of `beforeWrite` (the audit's): nothing is
 * answered that wasn't audited, and the audit costs one write a turn.
 */
export class Flusher {
  readonly #beforeWrite: () => void
  readonly #onFailed: (error: unknown) => HttpResponse
  #waiting: Flushable[] = []
  readonly #run = (): void => this.#flush()

  constructor(beforeWrite: () => void, onFailed: (error: unknown) => HttpResponse) {
    this.#beforeWrite = beforeWrite
    this.#onFailed = onFailed
  }

  /** Call once per connection and turn. */
  add(connection: Flushable): void {
    // The check phase follows the poll phase, in which requests arrive and most handlers end.
    if (this.#waiting.push(connection) === 1) setImmediate(this.#run)
  }

  #flush(): void {
    const batch = this.#waiting
    this.#waiting = []
    let instead: HttpResponse | null = null
    try {
      this.#beforeWrite()
    } catch (error) {
      instead = this.#onFailed(error)
    }
    for (const connection of batch) connection.flush(instead)
  }
}
