import type { Io } from '#protocol/command.ts'

type ProgressIo = Pick<Io, 'stderr' | 'isErrorTerminal' | 'world'>

const everyMs = 10_000

/**
 * How far something long is, on stderr: one line that is written over on a terminal, else a line now and then. Dispose
 * it before anything else is printed.
 */
export class Progress implements Disposable {
  readonly #io: ProgressIo
  #toldAt: number
  #isLineOpen = false

  constructor(io: ProgressIo) {
    this.#io = io
    this.#toldAt = io.world.clock.now()
  }

  tell(text: string): void {
    if (this.#io.isErrorTerminal) {
      // Carriage return, and the rest of the line erased.
      this.#io.stderr(`\r${text}\u001b[K`)
      this.#isLineOpen = true
      return
    }
    const now = this.#io.world.clock.now()
    if (now - this.#toldAt < everyMs) return
    this.#toldAt = now
    this.#io.stderr(`${text}\n`)
  }

  [Symbol.dispose](): void {
    if (this.#isLineOpen) this.#io.stderr('\n')
    this.#isLineOpen = false
  }
}
