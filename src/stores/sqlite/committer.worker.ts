import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import { unreachable } from '#ground/base/assert.ts'
import type { CommitterAsk, CommitterReply, Opened, WorkerData } from './messages.ts'
import { unpack } from './packing.ts'
import { openForWriting, readState } from './schema.ts'
import { sqliteFailure, sqliteFull } from './sqlite-error.ts'
import { serve } from './worker-serve.ts'

/** Writes groups of batches, one transaction each, and nothing else: every synchronous wait is in this thread. */
class Committer {
  readonly opened: Opened
  readonly #database: DatabaseSync
  readonly #begin: StatementSync
  readonly #put: StatementSync
  readonly #drop: StatementSync
  readonly #state: StatementSync
  readonly #commit: StatementSync
  readonly #checkpoint: StatementSync
  #isBroken = false

  constructor({ database: path, pagesMax }: WorkerData) {
    const database = openForWriting(path)
    if (pagesMax !== null) database.exec(`PRAGMA max_page_count = ${pagesMax}`)
    this.#database = database
    this.opened = readState(database)
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#put = database.prepare(
      'INSERT INTO entry (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    )
    this.#drop = database.prepare('DELETE FROM entry WHERE key = ?')
    this.#state = database.prepare('UPDATE state SET revision = ?, term = ? WHERE id = 1')
    this.#commit = database.prepare('COMMIT')
    this.#checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  }

  answer(ask: CommitterAsk): { reply: CommitterReply; transfer?: ArrayBuffer } {
    switch (ask.kind) {
      case 'commit':
        this.#write(ask)
        return { reply: { memory: ask.memory }, transfer: ask.memory }
      case 'checkpoint':
        this.#checkpoint.get()
        return { reply: {} }
      case 'close':
        this.#database.close()
        return { reply: {} }
      default:
        return unreachable(ask)
    }
  }

  #write(group: CommitterAsk & { kind: 'commit' }): void {
    if (this.#isBroken) throw new Error('an earlier commit failed')
    try {
      this.#begin.run()
      unpack(group.memory, group.length, (key, value) => {
        if (value) this.#put.run(key, value)
        else this.#drop.run(key)
      })
      this.#state.run(group.revision, group.term)
      this.#commit.run()
    } catch (error) {
      // What the disk has no room for can't be whole in the log: its last frame is the one that makes it valid. Of any
      // other failure, as one of the sync, that isn't known.
      const isUndone = this.#rollBack() && sqliteFailure(error).code === sqliteFull
      this.#isBroken = !isUndone
      throw error
    }
  }

  #rollBack(): boolean {
    try {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      return true
    } catch {
      // The store is opened anew before anything else is asked of it, and the log's recovery drops what isn't whole.
      return false
    }
  }
}

serve(() => new Committer(workerData as WorkerData))
