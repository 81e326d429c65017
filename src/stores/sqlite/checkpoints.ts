import type { Clock } from '#ground/base/clock.ts'
import type { CheckpointerReply } from './messages.ts'

// Between checkpoints while commits go on, ms.
const periodMs = 200
// After one that could not be done for now (a full disk), ms.
const retryMs = 5_000

export type CheckpointOptions = {
  readonly clock: Clock
  /** One checkpoint beside the committer. */
  readonly run: () => Promise<CheckpointerReply>
  /** The last of it in the committer, between two groups. */
  readonly handOver: () => Promise<unknown>
  /** @returns true when it is worth another try: nothing is lost, only the log grows. */
  readonly onFailure: (error: unknown) => boolean
}

/** When the log is copied into the database: every 200 ms while there are commits, and once after the last. */
export class Checkpoints {
  readonly #options: CheckpointOptions
  #timer: Disposable | null = null
  #running: Promise<void> | null = null
  #isDirty = false
  #isStopped = false

  constructor(options: CheckpointOptions) {
    this.#options = options
  }

  /** A group was committed. */
  note(): void {
    this.#isDirty = true
    this.#arm(periodMs)
  }

  /** Waits for the one under way; no other begins. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.[Symbol.dispose]()
    await this.#running
  }

  #arm(waitMs: number): void {
    if (this.#timer || this.#running || this.#isStopped) return
    this.#timer = this.#options.clock.after(waitMs, () => {
      this.#timer = null
      this.#running = this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isDirty = false
    let waitMs = periodMs
    try {
      const { isHandOverDue } = await this.#options.run()
      if (isHandOverDue) await this.#options.handOver()
    } catch (error) {
      if (!this.#options.onFailure(error)) this.#isStopped = true
      this.#isDirty = true
      waitMs = retryMs
    }
    this.#running = null
    if (this.#isDirty) this.#arm(waitMs)
  }
}
