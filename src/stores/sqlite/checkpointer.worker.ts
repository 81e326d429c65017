import { fdatasyncSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import { unreachable } from '#ground/base/assert.ts'
import type { CheckpointerAsk, CheckpointerReply, WorkerData } from './messages.ts'
import { openForCheckpoints } from './schema.ts'
import { serve } from './worker-serve.ts'

// A log of this many frames (32 MB) is due to begin anew …
const longFrames = 8_000
// … and is handed over once at most this many are left to copy,
const restFrames = 400
// which a steady writer may prevent for a while: the next checkpoint tries again.
const roundsMax = 20

/**
 * Copies the log into the database beside the committer. A passive checkpoint never stops a writer, but it also never
 * lets the log begin anew while one writes: the committer does the last bit itself (`isHandOverDue`).
 */
class Checkpointer {
  readonly opened = {}
  readonly #data: WorkerData
  readonly #database: DatabaseSync
  readonly #checkpoint: StatementSync

  constructor(data: WorkerData) {
    this.#data = data
    this.#database = openForCheckpoints(data.database)
    this.#checkpoint = this.#database.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  }

  answer(ask: CheckpointerAsk): { reply: CheckpointerReply } {
    switch (ask.kind) {
      case 'checkpoint':
        return { reply: { isHandOverDue: this.#run() } }
      case 'close':
        this.#database.close()
        return { reply: { isHandOverDue: false } }
      default:
        return unreachable(ask)
    }
  }

  #run(): boolean {
    for (let round = 0; round < roundsMax; round++) {
      const { log, rest } = this.#once()
      if (log <= longFrames) return false
      if (rest < restFrames) return true
    }
    return false
  }

  #once(): { log: number; rest: number } {
    const row = this.#checkpoint.get()
    const log = Number(row?.['log'])
    const rest = log - Number(row?.['checkpointed'])
    // SQLite syncs the database only when a checkpoint reaches the end of the log; without this, the one that does
    // would find all the dirty pages and hold up commits for 70 to 110 ms.
    fdatasyncSync(this.#data.descriptor)
    return { log, rest }
  }
}

serve(() => new Checkpointer(workerData as WorkerData))
