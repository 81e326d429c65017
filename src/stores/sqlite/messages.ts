import type { SqliteFailure } from './sqlite-error.ts'

/** A worker says `opened` or why not, then answers each ask in order. */
export type Answer<Reply> = { readonly reply: Reply } | { readonly failure: SqliteFailure }

export type WorkerData = {
  readonly database: string
  /** A descriptor of the database for fdatasync: opened once by the main thread, closed after all connections. */
  readonly descriptor: number
  /** null: as many as the disk takes. */
  readonly pagesMax: number | null
}

/** What the committer finds in the file. */
export type Opened = { readonly revision: number; readonly term: number }

export type CommitterAsk =
  | {
      readonly kind: 'commit'
      readonly memory: ArrayBuffer
      readonly length: number
      readonly revision: number
      readonly term: number
    }
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'close' }

/** `memory` comes back for the next group. */
export type CommitterReply = { readonly memory?: ArrayBuffer }

export type CheckpointerAsk = { readonly kind: 'checkpoint' } | { readonly kind: 'close' }

/**
 * `isHandOverDue`: the log is long, and nearly all of it is in the database; the rest is for the committer, between two
 * groups, so that the log can begin anew.
 */
export type CheckpointerReply = { readonly isHandOverDue: boolean }
