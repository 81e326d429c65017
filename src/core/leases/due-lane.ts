import { type Instant, instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { rangeBelow } from '#stores/keys.ts'

/**
 * What falls due. `lane` is `kind` or `kind.part`: things of one lane are worked on by one bounded crew, so that a lane
 * whose work hangs holds up no other. `id` means something to the kind's handler.
 */
export type Due = { readonly lane: string; readonly id: string; readonly at: Instant }

/**
 * Handles what is due; called at or after its time, again when it threw (its entry then lies at a later time), and again
 * after a restart that came before the index entry was gone: it must look at the state as it is.
 * @returns writes for the commit that takes the entry out of the index, or `removed` when that is done.
 */
export type DueHandler = (due: Due, signal: AbortSignal) => Promise<readonly KeeperWrite[] | 'removed'>

export type LaneWork = {
  readonly name: string
  /** How many are worked on at once. */
  readonly width: number
  readonly handler: DueHandler
  readonly keeper: Pick<Keeper, 'scanKeys' | 'commit'>
  readonly world: World
  readonly signal: AbortSignal
  /** Of the lane's keys, ending in `/`. */
  readonly prefix: string
  readonly parse: (key: string) => Due
  /** Where the keys of a time begin. */
  readonly keyAt: (at: Instant) => string
  readonly entry: (due: Due) => KeeperWrite
  readonly remove: (due: Due) => KeeperWrite
}

const pageSize = 256
const retryMsMax = 600_000
/** A wall clock may be set forward while a timer waits: it is looked at anew this often. */
const lookMsMax = 900_000
/** Things whose failures are counted; those beyond wait as after their first. */
const failingMax = 10_000

/** One lane of the index of due times: its timer, and the crew that works through what is due. */
export class DueLane {
  readonly #work: LaneWork
  /** How often it failed, by id. */
  readonly #failures = new Map<string, number>()
  #timer: Disposable | null = null
  #timerAt = Number.POSITIVE_INFINITY
  #running: Promise<void> | null = null
  /** Something came in while a pass ran: it may lie before where the pass is. */
  #again = false

  constructor(work: LaneWork) {
    this.#work = work
  }

  arm(at: number): void {
    const { clock } = this.#work.world
    if (this.#running !== null && at <= clock.now()) this.#again = true
    if (at >= this.#timerAt || this.#work.signal.aborted) return
    this.#timer?.[Symbol.dispose]()
    this.#timerAt = at
    const wait = Math.min(Math.max(0, at - clock.now()), lookMsMax)
    this.#timer = clock.after(wait, () => this.#look())
  }

  wake(): void {
    this.arm(this.#work.world.clock.now())
  }

  async stop(): Promise<void> {
    this.#timer?.[Symbol.dispose]()
    await this.#running
  }

  #look(): void {
    const at = this.#timerAt
    this.#timer = null
    this.#timerAt = Number.POSITIVE_INFINITY
    if (this.#work.signal.aborted) return
    if (at > this.#work.world.clock.now()) this.arm(at)
    else if (this.#running !== null) this.#again = true
    else this.#start()
  }

  #start(): void {
    this.#again = false
    this.#running = this.#pass()
      .catch(error => {
        if (this.#work.signal.aborted) return
        this.#work.world.log.error('due times can not be worked on; trying again', { lane: this.#work.name, error })
        this.arm(this.#work.world.clock.now() + 10_000)
      })
      .finally(() => {
        this.#running = null
        if (this.#again && !this.#work.signal.aborted) this.#start()
      })
  }

  // `width` are at work, and each takes the next as it ends, so that one that hangs costs its place only. Nothing is read
  // that isn't due, but for one look at what comes next.
  async #pass(): Promise<void> {
    const { keeper, world, signal, prefix, width, parse, keyAt } = this.#work
    const now = world.clock.now()
    const { to } = rangeBelow(prefix)
    const isDue = { from: prefix, to: keyAt(instant(now + 1)) }
    const read = (after: string | undefined) =>
      keeper.scanKeys(isDue, { ...(after !== undefined && { after }), limit: pageSize })
    let page = await read(undefined)
    let taken = 0
    let reading: Promise<void> | null = null
    const more = async (): Promise<void> => {
      page = await read(page.keys.at(-1))
      taken = 0
      reading = null
    }
    const work = async (): Promise<void> => {
      while (!signal.aborted) {
        const key = page.keys[taken]
        if (key !== undefined) {
          taken++
          await this.#one(parse(key))
        } else if (page.more) await (reading ??= more())
        else return
      }
    }
    const crew = Array.from({ length: Math.min(width, page.keys.length) }, work)
    const done = Promise.allSettled(crew)
    try {
      // The first that finds nothing left says so: one that hangs doesn't keep what comes next from being seen.
      if (crew.length > 0) await Promise.race(crew)
      const next = await keeper.scanKeys({ from: isDue.to, to }, { limit: 1 })
      if (next.keys.length > 0) this.arm(parse(next.keys[0]!).at)
    } finally {
      await done
    }
    for (const end of await done) if (end.status === 'rejected') throw end.reason
  }

  async #one(due: Due): Promise<void> {
    const { keeper, handler, signal, remove } = this.#work
    try {
      const writes = await handler(due, signal)
      if (writes !== 'removed') await keeper.commit([remove(due), ...writes])
      this.#failures.delete(due.id)
    } catch (error) {
      if (!signal.aborted) await this.#postpone(due, error)
    }
  }

  // It moves to its next time in the index: whatever number of things fail, no pass comes by them before.
  async #postpone(due: Due, error: unknown): Promise<void> {
    const { keeper, world, name, entry, remove } = this.#work
    const attempts = (this.#failures.get(due.id) ?? 0) + 1
    if (attempts > 1 || this.#failures.size < failingMax) this.#failures.set(due.id, attempts)
    const jitter = 0.75 + 0.5 * world.entropy.fraction()
    const wait = Math.min(1000 * 2 ** Math.min(attempts, 20), retryMsMax) * jitter
    const at = instant(world.clock.now() + wait)
    world.log.warn('something due failed; it is tried again', { lane: name, attempts, error })
    try {
      await keeper.commit([remove(due), entry({ ...due, at })])
    } catch (failure) {
      // It stays where it is, and is come by again.
      world.log.error('due times can not be written', { lane: name, error: failure })
    }
    this.arm(at)
  }
}
