import type { Operation } from '#protocol/verdict.ts'

/** Why a request was refused: what its answer doesn't say. */
export type Refusal = {
  readonly operation: Operation
  readonly path: string
  /** Null when no policy was asked: the token was no good, the login was refused, … */
  readonly policy: string | null
  /** The rule's pattern. */
  readonly rule: string | null
  readonly capabilities: readonly string[]
  readonly reason: string
}

/** The last refusals by request id; older ones are forgotten. Read by `sys/policies/explain`. */
export class Refusals {
  readonly #byId = new Map<string, Refusal>()
  readonly #capacity: number

  constructor(capacity = 4_096) {
    this.#capacity = capacity
  }

  add(id: string, refusal: Refusal): void {
    if (this.#byId.size >= this.#capacity) {
      for (const oldest of this.#byId.keys()) {
        this.#byId.delete(oldest)
        break
      }
    }
    this.#byId.set(id, refusal)
  }

  get(id: string): Refusal | null {
    return this.#byId.get(id) ?? null
  }
}
