import type { Codec } from '#backend/storage.ts'
import type { Maybe } from '#ground/base/brand.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import { type EntityEntry, entityCodec, type GroupEntry, groupCodec, memberOfCodec, mergedCodec } from './entry.ts'
import { type IdentityKeys, isId } from './keys.ts'

/** What a person is at this moment; holds as long as `seen` does. */
export type Standing = {
  readonly entity: EntityEntry
  /** Those it is directly in. */
  readonly direct: readonly GroupEntry[]
  /** Those that these are in, at any height, and that it isn't directly in. */
  readonly inherited: readonly GroupEntry[]
  /** As they were written, of the entity and of all groups. */
  readonly policies: readonly string[]
  /** Every entry that was looked at, absent ones too. */
  readonly seen: readonly (readonly [key: string, entry: unknown])[]
}

/** An entity that was merged into another, which was merged in its turn: so many times. */
const mergesMax = 64
/** Groups of one person, at any height. More count for nothing. */
const groupsMax = 10_000

/**
 * Finds out what entities are. Nothing has to be invalidated: who keeps a standing asks whether what it was made of is
 * still the newest that is known, which takes a look in memory for each entry.
 */
export class Standings {
  readonly #keeper: Keeper
  readonly #keys: IdentityKeys

  constructor(keeper: Keeper, keys: IdentityKeys) {
    this.#keeper = keeper
    this.#keys = keys
  }

  isCurrent({ seen }: Standing): boolean {
    for (let i = 0; i < seen.length; i++) if (this.#keeper.peek(seen[i]![0]) !== seen[i]![1]) return false
    return true
  }

  /** At once when all of it is in memory. @returns null when there is no such entity. */
  of(id: string): Maybe<Standing | null> {
    return isId(id) ? this.#attempt(id, new Map()) : null
  }

  /** What has to be waited for is asked for, and all is begun anew with it. */
  #attempt(id: string, loaded: Map<string, unknown>): Maybe<Standing | null> {
    let late: { key: string; entry: Promise<unknown> } | null = null
    const seen: (readonly [string, unknown])[] = []
    const read = <E>(codec: Codec<E>, one: string): E | null => {
      const key = this.#keys.at(codec, one)
      let entry: unknown = loaded.get(key)
      if (entry === undefined && late !== null) return null
      if (entry === undefined) entry = this.#keeper.get(key, codec)
      if (entry instanceof Promise) {
        late = { key, entry }
        return null
      }
      seen.push([key, entry])
      return entry as E | null
    }
    const made = collect(id, read, seen)
    const wait = late as { key: string; entry: Promise<unknown> } | null
    if (wait === null) return made
    return wait.entry.then(entry => this.#attempt(id, loaded.set(wait.key, entry)))
  }
}

type Read = <E>(codec: Codec<E>, id: string) => E | null

function collect(id: string, read: Read, seen: Standing['seen']): Standing | null {
  let entity = read(entityCodec, id)
  for (let merges = 0, at: string | null = id; entity === null; merges++) {
    at = merges === mergesMax ? null : read(mergedCodec, at)
    if (at === null) return null
    entity = read(entityCodec, at)
  }
  const groupsOf = (ids: readonly string[]): GroupEntry[] => ids.map(one => read(groupCodec, one)).filter(isThere)
  const direct = groupsOf(read(memberOfCodec, entity.id) ?? [])
  const known = new Set(direct.map(group => group.id))
  const inherited: GroupEntry[] = []
  const queue = direct.flatMap(group => group.parentIds)
  for (let at = 0; at < queue.length && known.size < groupsMax; at++) {
    if (known.has(queue[at]!)) continue
    known.add(queue[at]!)
    for (const group of groupsOf([queue[at]!])) {
      inherited.push(group)
      queue.push(...group.parentIds)
    }
  }
  const policies = [entity, ...direct, ...inherited].flatMap(one => one.policies)
  return { entity, direct, inherited, policies, seen }
}

const isThere = (group: GroupEntry | null): group is GroupEntry => group !== null
