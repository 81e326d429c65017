import { inspect } from 'node:util'

/**
 * Text that can't be printed: every way of turning it into text, JSON or a log line gives `[secret]`.
 * Revealing it states why, so that all such places can be found by one search.
 */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** @param _reason why the plain text is needed here; read by people, not by the program. */
  reveal(_reason: string): string {
    return this.#text
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }

  [Symbol.toPrimitive](): string {
    return '[secret]'
  }
}
