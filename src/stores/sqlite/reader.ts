import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Bytes } from '#ground/base/brand.ts'
import { pageBytesMax } from '#stores/keys.ts'
import type { KeyRange, ScanPage, StoreEntry, StoreKey } from '#stores/store.ts'

/**
 * Reads on the main thread. All reads of one turn of the event loop share a read transaction, which halves their cost:
 * the first opens it, `endTick` ends it, at the latest when the turn's I/O is through. A longer one would hold up the
 * checkpoints, and one that outlives the answer to a commit would hide that commit.
 */
export class Reader {
  readonly #database: DatabaseSync
  readonly #begin: StatementSync
  readonly #end: StatementSync
  readonly #get: StatementSync
  readonly #keys: StatementSync
  readonly #entries: StatementSync
  readonly #endTick = (): void => this.endTick()
  #isReading = false

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#begin = database.prepare('BEGIN')
    this.#end = database.prepare('COMMIT')
    this.#get = arrays(database, 'SELECT value FROM entry WHERE key = ?')
    this.#keys = arrays(database, 'SELECT key FROM entry WHERE key >= ? ORDER BY key LIMIT ?')
    this.#entries = arrays(database, 'SELECT key, value FROM entry WHERE key >= ? AND key < ? ORDER BY key LIMIT ?')
  }

  get(key: StoreKey): Bytes | null {
    this.#beginTick()
    const row = this.#get.get(key) as unknown as [Bytes] | undefined
    return row ? row[0] : null
  }

  /** At most `limit` keys from `from` (included) on. */
  keysFrom(from: StoreKey, limit: number): StoreKey[] {
    this.#beginTick()
    const rows = this.#keys.all(from, limit) as unknown as [StoreKey][]
    return rows.map(row => row[0])
  }

  /** Entries in order; the page ends early once it holds `pageBytesMax`. */
  entries(range: KeyRange, limit: number): ScanPage {
    this.#beginTick()
    const entries: StoreEntry[] = []
    let bytes = 0
    for (const row of this.#entries.iterate(range.from, range.to, limit + 1)) {
      if (entries.length === limit || bytes >= pageBytesMax) return { entries, more: true }
      const [key, value] = row as unknown as [StoreKey, Bytes]
      entries.push({ key, value })
      bytes += value.length
    }
    return { entries, more: false }
  }

  /** Ends the read transaction, if one is open: the next read sees all that is committed by then. */
  endTick(): void {
    if (!this.#isReading) return
    this.#isReading = false
    this.#end.run()
  }

  close(): void {
    this.#isReading = false
    this.#database.close()
  }

  #beginTick(): void {
    if (this.#isReading) return
    this.#begin.run()
    this.#isReading = true
    setImmediate(this.#endTick)
  }
}

function arrays(database: DatabaseSync, query: string): StatementSync {
  const statement = database.prepare(query)
  statement.setReturnArrays(true)
  return statement
}
