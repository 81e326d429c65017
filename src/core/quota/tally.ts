import { compareUtf8 } from '#ground/text/compare.ts'
import type { Census, Counted } from '#core/leases/census.ts'

/** Some of what is there, in the order of its keys. `next` null: no more. */
export type CountedPage = { readonly counted: readonly Counted[]; readonly next: string | null }

/** Reads pages; `after` null: from the beginning. */
export type ReadCounted = (kind: Counted['kind'], after: string | null) => Promise<CountedPage>

/** Which count it belongs to; null: to none. */
export type Sort = (counted: Counted) => string | null

const kinds = ['lease', 'token'] as const

/**
 * Counts of what is there, by name: exact at each moment once `ready`. They are taken by a walk through the store; while
 * a page of it is read, nothing comes or goes, so that each is seen either by the walk or by its own commit.
 */
export class Tally implements Census {
  readonly #read: ReadCounted
  /** Told of each that comes, in the turn in which it counts. */
  readonly #onCome: (name: string) => void
  #sort: Sort | null = null
  #counts = new Map<string, number>()
  /** How far the walk is; null: at its end. */
  #walked: { kind: Counted['kind']; key: string } | null = null
  #ready: Promise<void> = Promise.resolve()
  #isReady = true
  /** Commits under way. */
  #open = 0
  #closed: Promise<void> | null = null
  #onIdle: (() => void) | null = null

  constructor(read: ReadCounted, onCome: (name: string) => void) {
    this.#read = read
    this.#onCome = onCome
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Resolves when the counts are right. @throws what the walk failed with */
  get ready(): Promise<void> {
    return this.#ready
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  /** Counts anew, by these names; null stops counting, and nothing is spent on it from then on. */
  begin(sort: Sort | null): Promise<void> {
    this.#sort = sort
    this.#counts = new Map()
    this.#walked = { kind: 'lease', key: '' }
    this.#isReady = sort === null
    this.#ready = sort === null ? Promise.resolve() : this.#walk(sort)
    this.#ready.catch(() => undefined)
    return this.#ready
  }

  async during(counted: Counted, by: 1 | -1, commit: () => Promise<boolean>): Promise<boolean> {
    while (this.#closed !== null) await this.#closed
    this.#open++
    try {
      const isDone = await commit()
      if (isDone && this.#sort !== null && this.#isBehind(counted)) this.#add(this.#sort(counted), by)
      return isDone
    } finally {
      this.#open--
      if (this.#open === 0) this.#onIdle?.()
    }
  }

  #add(name: string | null, by: 1 | -1): void {
    if (name === null) return
    this.#counts.set(name, this.of(name) + by)
    if (by === 1) this.#onCome(name)
  }

  #isBehind({ kind, key }: Counted): boolean {
    const walked = this.#walked
    if (walked === null) return true
    return kind === walked.kind ? compareUtf8(key, walked.key) <= 0 : walked.kind === 'token'
  }

  async #walk(sort: Sort): Promise<void> {
    for (const kind of kinds) {
      for (let after: string | null = null; ; ) {
        const next: string | null = await this.#alone(async () => {
          const page = await this.#page(sort, kind, after)
          if (page === null) return null
          for (const counted of page.counted) {
            const name = sort(counted)
            if (name !== null) this.#counts.set(name, this.of(name) + 1)
          }
          this.#walked = page.next === null ? { kind: 'token', key: '' } : { kind, key: page.next }
          if (page.next === null && kind === 'token') this.#walked = null
          return page.next
        })
        // Another walk began: who waits for this one waits for that.
        if (this.#sort !== sort) return this.#ready
        if (next === null) break
        after = next
        // Other requests have their turn between two pages.
        await new Promise<void>(resolve => setImmediate(resolve))
      }
    }
    this.#isReady = true
  }

  /** @returns null when nobody wants it any more, whatever came of it. */
  async #page(sort: Sort, kind: Counted['kind'], after: string | null): Promise<CountedPage | null> {
    try {
      const page = await this.#read(kind, after)
      return this.#sort === sort ? page : null
    } catch (error) {
      if (this.#sort !== sort) return null
      throw error
    }
  }

  /** Runs while no commit is under way. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed !== null) await this.#closed
    let open = (): void => undefined
    this.#closed = new Promise(resolve => {
      open = resolve
    })
    try {
      if (this.#open > 0) {
        await new Promise<void>(resolve => {
          this.#onIdle = resolve
        })
        this.#onIdle = null
      }
      return await work()
    } finally {
      this.#closed = null
      open()
    }
  }
}
