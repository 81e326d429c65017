import type { TokenKey } from '#backend/engine.ts'
import type { Census, Counted } from '#core/leases/census.ts'
import { Tally } from './tally.ts'

/** Keys of service tokens in order, a page at a time. */
type ReadKeys = (
  after: TokenKey | null,
  limit: number,
) => Promise<{ readonly keys: readonly TokenKey[]; readonly next: TokenKey | null }>

const pageSize = 1_000
const name = 'tokens'

/**
 * How many service tokens there are. Nobody pays for it until somebody asks: then their keys are walked through once, and
 * from there on each that comes or goes is counted.
 */
export class TokenCount implements Census {
  readonly #tally: Tally
  #isBegun = false

  constructor(read: ReadKeys) {
    const page = async (kind: Counted['kind'], after: string | null) => {
      if (kind === 'lease') return { counted: [], next: null }
      const { keys, next } = await read(after as TokenKey | null, pageSize)
      return { counted: keys.map(key => ({ kind, key, path: '', role: null })), next }
    }
    this.#tally = new Tally(page, () => undefined)
  }

  during(counted: Counted, by: 1 | -1, commit: () => Promise<boolean>): Promise<boolean> {
    return this.#tally.during(counted, by, commit)
  }

  async total(): Promise<number> {
    if (!this.#isBegun) {
      this.#isBegun = true
      this.#tally
        .begin(() => name)
        .catch(() => {
          this.#isBegun = false
        })
    }
    await this.#tally.ready
    return this.#tally.of(name)
  }

  /** Before the server is sealed: a count that is under way ends. */
  close(): void {
    void this.#tally.begin(null)
  }
}

/** Told to both: the second while the first is. */
export const bothCensuses = (one: Census, other: Census): Census => ({
  during: (counted, by, commit) => one.during(counted, by, () => other.during(counted, by, commit)),
})
