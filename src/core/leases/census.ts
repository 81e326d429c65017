import type { Due } from './due-lane.ts'

/** A lease, or a service token, as counts see it. */
export type Counted = {
  readonly kind: 'lease' | 'token'
  /** Unique in its kind; in the order of bytes it is the order of the store's pages. */
  readonly key: string
  /** Path of the request that made it. */
  readonly path: string
  /** The role that it was made under. */
  readonly role: string | null
  /** A token that doesn't end by itself: lease counts leave it out. */
  readonly isEndless?: true
  /** Its line of the index of due times; absent where nobody asks for it. */
  readonly due?: Due
}

/** Who counts leases and tokens while they come and go. */
export type Census = {
  /**
   * Runs the commit with which one comes (1) or goes (-1); true from it means that it did. A count that is under way
   * may hold the commit off until its page is read, so that nothing is counted twice or never.
   */
  during(counted: Counted, by: 1 | -1, commit: () => Promise<boolean>): Promise<boolean>
}
