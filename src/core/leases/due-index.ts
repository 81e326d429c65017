import { type Instant, instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import type { Codec } from '#backend/storage.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { rangeBelow } from '#stores/keys.ts'
import { type Due, type DueHandler, DueLane, type LaneWork } from './due-lane.ts'

const nothing: Codec<unknown> = { prefix: '', encode: () => new Uint8Array(0), decode: () => true }
const digits = 15
const pad = (at: Instant): string => String(at).padStart(digits, '0')
const pageSize = 256

/**
 * Due times in order, in the store: nothing is loaded at start but the names of the lanes, and a million entries cost no
 * memory. A timer a lane waits for the earliest time known.
 */
export class DueIndex {
  readonly #keeper: Keeper
  readonly #world: World
  readonly #prefix: string
  readonly #kinds = new Map<string, Pick<LaneWork, 'handler' | 'width'>>()
  readonly #lanes = new Map<string, DueLane>()
  #abort = new AbortController()
  #started = false

  /** @param prefix where the index lies, ending in `/`: `root/due/`. */
  constructor(keeper: Keeper, world: World, prefix: string) {
    this.#keeper = keeper
    this.#world = world
    this.#prefix = prefix
  }

  /** @param width how many of a lane are worked on at once. */
  handle(kind: string, width: number, handler: DueHandler): void {
    this.#kinds.set(kind, { width, handler })
  }

  /** The write that puts it into the index; for the commit of what it belongs to. Call `expect` once that is durable. */
  entry(due: Due): KeeperWrite {
    return { key: this.key(due), codec: nothing, entry: true, uncached: true }
  }

  remove(due: Due): KeeperWrite {
    return { key: this.key(due), codec: nothing, entry: null, uncached: true }
  }

  /** Something of the lane is due at `at`: its timer is set earlier if need be. */
  expect(lane: string, at: Instant): void {
    if (this.#started) this.#lane(lane).arm(at)
  }

  /** From now on due things are worked on; only on the active node, after unseal. */
  async start(): Promise<void> {
    this.#started = true
    let after: string | undefined
    for (;;) {
      const page = await this.#keeper.list(this.#prefix, { ...(after !== undefined && { after }), limit: pageSize })
      for (const name of page.names) this.#lane(name.replace(/\/$/, '')).wake()
      if (!page.more) return
      after = page.names.at(-1)
    }
  }

  /** All there is, by lane and time, a page at a time; `last` null: nothing follows. */
  async scan(
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly due: readonly Due[]; readonly last: string | null; readonly more: boolean }> {
    const paging = { ...(after !== undefined && { after }), limit }
    const { keys, more } = await this.#keeper.scanKeys(rangeBelow(this.#prefix), paging)
    const due = keys.map(key => this.#parse(key.slice(this.#prefix.length, key.indexOf('/', this.#prefix.length)), key))
    return { due, last: keys.at(-1) ?? null, more }
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#abort.abort(new Error('this node works on due times no more'))
    await Promise.all([...this.#lanes.values()].map(lane => lane.stop()))
  }

  #lane(name: string): DueLane {
    const known = this.#lanes.get(name)
    if (known !== undefined) return known
    const kind = this.#kinds.get(name.split('.', 1)[0]!)
    const handler: DueHandler =
      kind?.handler ?? (() => Promise.reject(new Error(`nobody handles due entries of ${name}`)))
    const lane = new DueLane({
      name,
      width: kind?.width ?? 1,
      handler,
      keeper: this.#keeper,
      world: this.#world,
      signal: this.#abort.signal,
      prefix: `${this.#prefix}${name}/`,
      parse: key => this.#parse(name, key),
      keyAt: at => `${this.#prefix}${name}/${pad(at)}`,
      entry: due => this.entry(due),
      remove: due => this.remove(due),
    })
    this.#lanes.set(name, lane)
    return lane
  }

  /** Where it stands; the order of these is that of `scan`. */
  key({ at, lane, id }: Due): string {
    return `${this.#prefix}${lane}/${pad(at)}/${id}`
  }

  #parse(lane: string, key: string): Due {
    const rest = key.slice(this.#prefix.length + lane.length + 1)
    return { lane, at: instant(Number(rest.slice(0, digits))), id: rest.slice(digits + 1) }
  }
}
