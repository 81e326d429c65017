import { closeSync, openSync } from 'node:fs'
import type {
  CheckpointerAsk,
  CheckpointerReply,
  CommitterAsk,
  CommitterReply,
  Opened,
  WorkerData,
} from './messages.ts'
import type { SqliteFailure } from './sqlite-error.ts'
import { WorkerLink } from './worker-link.ts'

export type ThreadOptions = {
  readonly database: string
  readonly pagesMax: number | null
  readonly env: NodeJS.ProcessEnv
  readonly onDeath: (failure: SqliteFailure) => void
}

/** The committer and the checkpointer, and the descriptor that both files' syncing shares. */
export class Threads {
  readonly committer: WorkerLink<Opened, CommitterAsk, CommitterReply>
  readonly #options: ThreadOptions
  readonly #descriptor: number
  readonly #data: WorkerData
  #checkpointer: WorkerLink<object, CheckpointerAsk, CheckpointerReply> | null = null

  constructor(options: ThreadOptions) {
    this.#options = options
    // Opened once and closed last: closing any descriptor of a file drops this process's POSIX locks on it, and with
    // them SQLite's.
    this.#descriptor = openSync(options.database, 'r+')
    this.#data = { database: options.database, descriptor: this.#descriptor, pagesMax: options.pagesMax }
    this.committer = new WorkerLink({ name: 'committer', ...this.#workerOptions() })
  }

  /** Starts the checkpointer; the committer must have opened the file before. */
  async startCheckpointer(): Promise<void> {
    this.#checkpointer = new WorkerLink({ name: 'checkpointer', ...this.#workerOptions() })
    await this.#checkpointer.opened
  }

  checkpoint(): Promise<CheckpointerReply> {
    if (!this.#checkpointer) return Promise.resolve({ isHandOverDue: false })
    return this.#checkpointer.call({ kind: 'checkpoint' })
  }

  /** Closes the connections, the committer's last: that empties the log. What can't be closed in order is ended. */
  async close(): Promise<void> {
    // A thread that failed has nothing to save: the next start recovers from the log.
    await this.#checkpointer?.call({ kind: 'close' }).catch(() => undefined)
    await this.committer.call({ kind: 'close' }).catch(() => undefined)
    await this.end()
  }

  async end(): Promise<void> {
    await this.#checkpointer?.end()
    await this.committer.end()
    closeSync(this.#descriptor)
  }

  #workerOptions(): { data: WorkerData; env: NodeJS.ProcessEnv; onDeath: (failure: SqliteFailure) => void } {
    return { data: this.#data, env: this.#options.env, onDeath: this.#options.onDeath }
  }
}
