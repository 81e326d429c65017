import { type Instant, instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { Json } from '#ground/text/json.ts'
import type { Codec, Effects, IntentId } from '#backend/storage.ts'
import type { Mount } from '#core/mounts/mount.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import type { EffectLog } from '#core/storage/view.ts'
import { rangeBelow } from '#stores/keys.ts'
import type { DueIndex } from './due-index.ts'
import type { Due } from './due-lane.ts'

type IntentEntry = { readonly kind: string; readonly entry: Json }
type AlarmEntry = { readonly at: Instant }

const intentCodec: Codec<IntentEntry> = { prefix: 'intent/', encode: jsonBytes.encode, decode: jsonBytes.decode }
const alarmCodec: Codec<AlarmEntry> = { prefix: 'alarm/', encode: jsonBytes.encode, decode: jsonBytes.decode }
const intentDue = 'intent'
const alarmDue = 'alarm'
/** Longer than any request may take, in ms. */
const graceMs = 150_000
/** One engine's slow system shall not get all its undoing at once. */
const width = 4
const pageSize = 100

export type EffectRoomOptions = {
  keeper: Keeper
  world: World
  due: DueIndex
  /** Ending in `/`: `root/`. */
  prefix: string
  mountOf: (accessor: string) => Mount | null
}

/**
 * Effects outside the store, by mount: what was intended and isn't settled is undone, and durable alarms are told when
 * their time comes. Keys go by the mount's accessor.
 */
export class EffectRoom {
  readonly #options: EffectRoomOptions
  /** Intents of this process whose outcome is open; what another process left is nobody's. */
  readonly #open = new Set<string>()
  readonly #run: string

  constructor(options: EffectRoomOptions) {
    this.#options = options
    this.#run = options.world.entropy.base62(10)
    options.due.handle(intentDue, width, (due, signal) => this.#undo(due, signal))
    options.due.handle(alarmDue, width, (due, signal) => this.#fire(due, signal))
  }

  /** What a mount's view writes to. */
  of(accessor: string): EffectLog {
    return {
      intend: (kind, entry) => this.#intend(accessor, kind, entry),
      writes: effects => this.#writes(accessor, effects),
      written: effects => this.#written(accessor, effects),
    }
  }

  /** What a process before this one left undone is undone now; on becoming active. */
  async resume(): Promise<void> {
    const { keeper, due, world } = this.#options
    let after: string | undefined
    for (;;) {
      const page = await keeper.scanKeys(rangeBelow(`${this.#options.prefix}${intentCodec.prefix}`), {
        ...(after !== undefined && { after }),
        limit: pageSize,
      })
      const at = world.clock.now()
      const writes = page.keys.map(key => {
        const [accessor = '', id = ''] = key.slice(this.#options.prefix.length + intentCodec.prefix.length).split('/')
        return due.entry({ lane: `${intentDue}.${accessor}`, id, at })
      })
      await keeper.commit(writes)
      if (!page.more) return
      after = page.keys.at(-1)
    }
  }

  /** The lease of this intent could not be made: it is undone now, not when its time is up. */
  async abandon(accessor: string, intent: IntentId): Promise<void> {
    const { keeper, due, world } = this.#options
    const at = world.clock.now()
    await keeper.commit([due.entry({ lane: `${intentDue}.${accessor}`, id: intent, at })])
    due.expect(`${intentDue}.${accessor}`, at)
  }

  /** Before a mount goes: all that it intended is undone, its alarms are forgotten. @throws what `undo` throws. */
  async end(accessor: string, signal: AbortSignal): Promise<void> {
    const { keeper, prefix } = this.#options
    const folder = `${prefix}${intentCodec.prefix}${accessor}/`
    for (;;) {
      const page = await keeper.scanKeys(rangeBelow(folder), { limit: pageSize })
      for (const key of page.keys) {
        await keeper.commit(await this.#undone(accessor, key.slice(folder.length), signal))
      }
      if (!page.more) break
    }
    await keeper.purge(`${prefix}${alarmCodec.prefix}${accessor}/`)
  }

  async #intend(accessor: string, kind: string, entry: Json): Promise<IntentId> {
    const { keeper, due, world } = this.#options
    const id = `${this.#run}-${world.entropy.base62(16)}`
    const at = instant(world.clock.now() + graceMs)
    const lane = `${intentDue}.${accessor}`
    this.#open.add(id)
    try {
      await keeper.commit([this.#intentWrite(accessor, id, { kind, entry }), due.entry({ lane, id, at })])
    } catch (error) {
      this.#open.delete(id)
      throw error
    }
    due.expect(lane, at)
    return id as IntentId
  }

  #writes(accessor: string, { settles, alarms = [] }: Effects): readonly KeeperWrite[] {
    const writes: KeeperWrite[] = []
    if (settles !== undefined) {
      if (!this.#open.has(settles)) throw new Error('what was intended took too long and was undone')
      writes.push(this.#intentWrite(accessor, settles, null))
    }
    for (const { kind, id, at } of alarms) {
      const key = this.#alarmKey(accessor, `${kind}/${id}`)
      writes.push({ key, codec: alarmCodec, entry: at === null ? null : { at } })
      if (at !== null)
        writes.push(this.#options.due.entry({ lane: `${alarmDue}.${accessor}`, id: `${kind}/${id}`, at }))
    }
    return writes
  }

  #written(accessor: string, { settles, alarms = [] }: Effects): void {
    if (settles !== undefined) this.#open.delete(settles)
    for (const { at } of alarms) if (at !== null) this.#options.due.expect(`${alarmDue}.${accessor}`, at)
  }

  async #undo({ lane, id }: Due, signal: AbortSignal): Promise<readonly KeeperWrite[]> {
    return this.#undone(lane.slice(intentDue.length + 1), id, signal)
  }

  async #undone(accessor: string, id: string, signal: AbortSignal): Promise<readonly KeeperWrite[]> {
    const { keeper, mountOf } = this.#options
    const found = (await keeper.get(this.#intentKey(accessor, id), intentCodec)) as IntentEntry | null
    // From here on its handler can't settle it any more.
    this.#open.delete(id)
    if (found === null) return []
    const mount = mountOf(accessor)
    if (mount !== null) {
      const intent = mount.engine.intents?.[found.kind]
      if (intent === undefined) throw new Error(`engine ${mount.entry.type} undoes no ${found.kind}`)
      await intent.undo(found.entry, mount.state, signal)
    }
    return [this.#intentWrite(accessor, id, null)]
  }

  async #fire(due: Due, signal: AbortSignal): Promise<'removed' | readonly KeeperWrite[]> {
    const { keeper, mountOf } = this.#options
    const accessor = due.lane.slice(alarmDue.length + 1)
    const key = this.#alarmKey(accessor, due.id)
    const entry = (await keeper.get(key, alarmCodec)) as AlarmEntry | null
    const mount = mountOf(accessor)
    // Cancelled, or replaced by a later one, which has its own place in the index. One that failed is due after its time.
    if (entry === null || entry.at > due.at || mount === null) return []
    const slash = due.id.indexOf('/')
    const kind = due.id.slice(0, slash)
    const alarm = mount.engine.alarms?.[kind]
    if (alarm === undefined) throw new Error(`engine ${mount.entry.type} has no alarm ${kind}`)
    await alarm.fire(due.id.slice(slash + 1), mount.state, signal)
    await keeper.update(key, alarmCodec, now => ({
      // The engine may have set the next one meanwhile.
      ...((now as AlarmEntry | null)?.at === entry.at && { entry: null }),
      also: [this.#options.due.remove(due)],
      result: undefined,
    }))
    return 'removed'
  }

  #intentKey(accessor: string, id: string): string {
    return `${this.#options.prefix}${intentCodec.prefix}${accessor}/${id}`
  }

  #alarmKey(accessor: string, id: string): string {
    return `${this.#options.prefix}${alarmCodec.prefix}${accessor}/${id}`
  }

  #intentWrite(accessor: string, id: string, entry: IntentEntry | null): KeeperWrite {
    return { key: this.#intentKey(accessor, id), codec: intentCodec, entry }
  }
}
