import type { World } from '#ground/base/world.ts'
import { type Instant, instant } from '#ground/base/clock.ts'
import type { Codec } from '#backend/storage.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'

/** What falls due: a kind that somebody registered for, and an id that means something to it. */
export type Due = { readonly kind: string; readonly id: string; readonly at: Instant }

/**
 * Handles what is due; called once at or after its time, again when it threw (after a wait), and again after a restart
 * that came before the index entry was gone: it must look at the state as it is.
 */
export type DueHandler = (due: Due) => Promise<void>

const nothing: Codec<unknown> = { prefix: '', encode: () => new Uint8Array(0), decode: () => true }
const digits = 15
const pageSize = 64
/** How many due things are worked on at once. */
const widthDefault = 16
const retryMsMax = 600_000

/**
 * Due times in order, in the store: nothing is loaded at start, and a million entries cost no memory. One timer waits
 * for the earliest time known; the worker reads the index in pages.
 */
export class DueIndex {
  readonly #keeper: Keeper
  readonly #world: World
  readonly #prefix: string
  readonly #handlers = new Map<string, DueHandler>()
  readonly #failures = new Map<string, { attempts: number; after: number }>()
  readonly #abort = new AbortController()
  #timer: Disposable | null = null
  #timerAt = Number.POSITIVE_INFINITY
  #running: Promise<void> | null = null
  #started = false

  /** @param prefix where the index lies, ending in `/`: `root/due/`. */
  constructor(keeper: Keeper, world: World, prefix: string) {
    this.#keeper = keeper
    this.#world = world
    this.#prefix = prefix
  }

  handle(kind: string, handler: DueHandler): void {
    this.#handlers.set(kind, handler)
  }

  /** The write that puts it into the index; for the commit of what it belongs to. Call `expect` once that is durable. */
  entry(due: Due): KeeperWrite {
    return { key: this.#key(due), codec: nothing, entry: true, uncached: true }
  }

  remove(due: Due): KeeperWrite {
    return { key: this.#key(due), codec: nothing, entry: null, uncached: true }
  }

  /** Something is due at `at`: the timer is set earlier if need be. */
  expect(at: Instant): void {
    if (this.#started) this.#arm(at)
  }

  /** From now on due things are worked on; only on the active node, after unseal. */
  start(): void {
    this.#started = true
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#abort.abort()
    this.#timer?.[Symbol.dispose]()
    await this.#running
  }

  #key({ at, kind, id }: Due): string {
    return `${this.#prefix}${String(at).padStart(digits, '0')}/${kind}/${id}`
  }

  #arm(at: number): void {
    if (at >= this.#timerAt) return
    this.#timer?.[Symbol.dispose]()
    this.#timerAt = at
    this.#timer = this.#world.clock.after(Math.max(0, at - this.#world.clock.now()), () => this.#wake())
  }

  #wake(): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = null
    this.#timerAt = Number.POSITIVE_INFINITY
    if (!this.#started || this.#running) return
    this.#running = this.#work()
      .catch(error => {
        this.#world.log.error('the index of due times can not be worked on; trying again', { error })
        this.#arm(this.#world.clock.now() + 10_000)
      })
      .finally(() => {
        this.#running = null
        // A wake-up that came while this ran found it running.
        if (this.#started && this.#timerAt <= this.#world.clock.now()) this.#wake()
      })
  }

  async #work(): Promise<void> {
    let after: string | undefined
    for (;;) {
      if (this.#abort.signal.aborted) return
      const page = await this.#keeper.scanKeys(
        { from: this.#prefix, to: `${this.#prefix}~` },
        { ...(after !== undefined && { after }), limit: pageSize },
      )
      const now = this.#world.clock.now()
      const due = page.keys.map(key => this.#parse(key)).filter(one => one.at <= now)
      await this.#each(due)
      if (due.length < page.keys.length) {
        this.#arm(this.#parse(page.keys[due.length]!).at)
        return
      }
      if (!page.more) return
      after = page.keys.at(-1)
    }
  }

  async #each(due: readonly Due[]): Promise<void> {
    const queue = [...due]
    const workers = Array.from({ length: Math.min(widthDefault, queue.length) }, async () => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
        if (this.#abort.signal.aborted) return
        await this.#one(one)
      }
    })
    await Promise.all(workers)
  }

  async #one(due: Due): Promise<void> {
    const key = this.#key(due)
    const failed = this.#failures.get(key)
    const now = this.#world.clock.now()
    if (failed && failed.after > now) {
      this.#arm(failed.after)
      return
    }
    try {
      const handler = this.#handlers.get(due.kind)
      if (!handler) throw new Error(`nobody handles due entries of kind ${due.kind}`)
      await handler(due)
      await this.#keeper.commit([this.remove(due)])
      this.#failures.delete(key)
    } catch (error) {
      if (this.#abort.signal.aborted) return
      const attempts = (failed?.attempts ?? 0) + 1
      const waitMs =
        Math.min(1000 * 2 ** Math.min(attempts, 20), retryMsMax) * (0.75 + 0.5 * this.#world.entropy.fraction())
      this.#failures.set(key, { attempts, after: now + waitMs })
      this.#world.log.warn('something due failed; it is tried again', { kind: due.kind, attempts, error })
      this.#arm(now + waitMs)
    }
  }

  #parse(key: string): Due {
    const rest = key.slice(this.#prefix.length)
    const slash = rest.indexOf('/', digits + 1)
    return {
      at: instant(Number(rest.slice(0, digits))),
      kind: rest.slice(digits + 1, slash),
      id: rest.slice(slash + 1),
    }
  }
}
