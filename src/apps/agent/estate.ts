import type { World } from '#ground/base/world.ts'
import { handOver, type Handover, type HandoverPlace } from './handover.ts'

/**
 * What an agent that is killed leaves to its successor, kept up to date while it runs: token and leases go on, where a
 * login would make others beside them.
 */
export class Estate {
  readonly #world: Pick<World, 'log'>
  readonly #place: HandoverPlace
  readonly #now: () => Handover | null
  #isStale = false
  #isFailing = false
  #writing: Promise<void> = Promise.resolve()

  /** @param now what it is now; null while there is nothing */
  constructor(world: Pick<World, 'log'>, place: HandoverPlace, now: () => Handover | null) {
    this.#world = world
    this.#place = place
    this.#now = now
  }

  /** It is another now. */
  changed(): void {
    if (this.#isStale) return
    this.#isStale = true
    this.#writing = this.#writing.then(() => this.#write())
  }

  /** Resolves when all that changed before is kept, or can't be. Never throws. */
  settled(): Promise<void> {
    return this.#writing
  }

  /** There is nothing to go on with. Never throws. */
  async forget(): Promise<void> {
    await this.#writing
    await this.#place.remove().catch(error => this.#failed(error))
  }

  async #write(): Promise<void> {
    this.#isStale = false
    const handover = this.#now()
    if (handover === null) return
    try {
      await handOver(this.#place, handover)
      this.#isFailing = false
    } catch (error) {
      this.#failed(error)
    }
  }

  // The agent can do without it.
  #failed(error: unknown): void {
    if (!this.#isFailing) this.#world.log.warn('nothing is kept for an agent after this one', { error })
    this.#isFailing = true
  }
}
