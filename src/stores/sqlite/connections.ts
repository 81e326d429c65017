import type { Clock } from '#ground/base/clock.ts'
import type { StoreError } from '#stores/store.ts'
import { Checkpoints } from './checkpoints.ts'
import type { PackedGroup } from './groups.ts'
import type { Opened } from './messages.ts'
import { Reader } from './reader.ts'
import { openForReading } from './schema.ts'
import { failed, sqliteBusy, sqliteFull } from './sqlite-error.ts'
import { Threads } from './threads.ts'
import { failureOf } from './worker-link.ts'

export type ConnectionOptions = {
  readonly database: string
  readonly readCacheBytes: number
  readonly pagesMax: number | null
  readonly workerEnv: NodeJS.ProcessEnv
  readonly clock: Clock
  /** A thread ended or a checkpoint failed for good: nothing can be relied on. */
  readonly onDeath: (error: StoreError) => void
  /** A checkpoint failed for now: nothing is lost, but the log grows. */
  readonly onDelay: (error: StoreError) => void
}

/** The three connections to one database: the committer's, the checkpointer's, and the main thread's for reading. */
export class Connections {
  readonly opened: Opened
  readonly reader: Reader
  readonly #options: ConnectionOptions
  readonly #threads: Threads
  readonly #checkpoints: Checkpoints

  private constructor(options: ConnectionOptions, threads: Threads, opened: Opened, reader: Reader) {
    this.#options = options
    this.#threads = threads
    this.opened = opened
    this.reader = reader
    this.#checkpoints = new Checkpoints({
      clock: options.clock,
      run: () => threads.checkpoint(),
      handOver: () => threads.committer.call({ kind: 'checkpoint' }),
      onFailure: error => this.#onCheckpointFailure(error),
    })
  }

  /** @throws StoreError `failed` */
  static async open(options: ConnectionOptions): Promise<Connections> {
    const { database, pagesMax, workerEnv: env } = options
    const threads = new Threads({
      database,
      pagesMax,
      env,
      onDeath: failure => options.onDeath(failed('writing', database, failure)),
    })
    try {
      // The committer first: it recovers the log and makes the tables.
      const opened = await threads.committer.opened
      await threads.startCheckpointer()
      const reader = new Reader(openForReading(database, options.readCacheBytes))
      return new Connections(options, threads, opened, reader)
    } catch (error) {
      await threads.end()
      throw failed('opening', database, failureOf(error))
    }
  }

  /** @throws WorkerFailure */
  async commit(group: PackedGroup): Promise<ArrayBuffer | undefined> {
    const { memory } = await this.#threads.committer.call({ kind: 'commit', ...group }, [group.memory])
    this.#checkpoints.note()
    return memory
  }

  /** Closes SQLite's connections, then our own descriptor: the order that keeps the locks. */
  async close(): Promise<void> {
    await this.#checkpoints.stop()
    this.reader.close()
    await this.#threads.close()
  }

  #onCheckpointFailure(error: unknown): boolean {
    const failure = failureOf(error)
    const isDelay = failure.code === sqliteFull || failure.code === sqliteBusy
    const told = failed('a checkpoint', this.#options.database, failure)
    if (isDelay) this.#options.onDelay(told)
    else this.#options.onDeath(told)
    return isDelay
  }
}
