import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { fault } from '#protocol/fault.ts'
import { type GroupEntry, groupCodec, type Member, memberOfCodec } from './entry.ts'
import type { IdentityKeys } from './keys.ts'

/** Groups that an entity may directly be in. */
const groupsOfOneMax = 2_000
/** Groups of one commit for one entity. */
const changesMax = 60
/** Members of one commit of a group: two writes each. */
export const membersOfCommit = 50
const pageSize = 1_000

/**
 * Who is in which group, from both sides: `member/<group>/<entity>` in pages for who shows a group, `member-of/<entity>` in
 * one look for who judges a request. Both change in one commit.
 */
export class Members {
  readonly #keeper: Keeper
  readonly #keys: IdentityKeys

  constructor(keeper: Keeper, keys: IdentityKeys) {
    this.#keeper = keeper
    this.#keys = keys
  }

  async groupsOf(entity: string): Promise<readonly string[]> {
    const key = this.#keys.at(memberOfCodec, entity)
    return ((await this.#keeper.get(key, memberOfCodec)) as readonly string[] | null) ?? []
  }

  /** Names in a folder, in order, a page at a time. @param after empty: from the beginning. */
  async *below(folder: string, after = ''): AsyncGenerator<readonly string[]> {
    for (let last = after; ; ) {
      const page = await this.#keeper.list(folder, { ...(last !== '' && { after: last }), limit: pageSize })
      if (page.names.length > 0) yield page.names
      if (!page.more) return
      last = page.names.at(-1)!
      // Other requests have their turn, also where nothing had to be waited for.
      await new Promise<void>(resolve => setImmediate(resolve))
    }
  }

  /** Some at a time, where one commit doesn't hold all. */
  async change(entity: string, change: { add: readonly string[]; drop: readonly string[] }): Promise<void> {
    const drop = [...change.drop]
    const add = [...change.add]
    while (drop.length + add.length > 0) {
      const dropped = drop.splice(0, changesMax)
      const added = dropped.length > 0 ? [] : add.splice(0, changesMax)
      await this.#keeper.update(this.#keys.at(memberOfCodec, entity), memberOfCodec, now => {
        const before = (now as readonly string[] | null) ?? []
        const groups = changed(before, added, dropped)
        const also = [
          ...dropped.map(group => this.#keys.member(group, entity, null)),
          ...added.map(group => this.#keys.member(group, entity, true)),
        ]
        return { entry: this.#keys.memberOf(entity, groups).entry, also, result: undefined }
      })
    }
  }

  /**
   * Some members of one group, with what belongs to the same commit; at most `membersOfCommit` of both kinds together.
   * Groups are changed by one caller at a time; entities also by logins, which wait here.
   */
  changeOf(
    group: string,
    { add, drop }: { readonly add: readonly Member[]; readonly drop: readonly Member[] },
    also: readonly KeeperWrite[],
  ): Promise<void> {
    const entities = [...add, ...drop].filter(one => one.kind === 'entity').map(one => one.id)
    const keys = entities.map(id => this.#keys.at(memberOfCodec, id)).sort()
    return this.#locked([...new Set(keys)], async () => {
      const writes: KeeperWrite[] = [...also]
      for (const member of drop) writes.push(...(await this.#written(group, member, null)))
      for (const member of add) writes.push(...(await this.#written(group, member, true)))
      await this.#keeper.commit(writes)
    })
  }

  async #written(group: string, { kind, id }: Member, present: true | null): Promise<KeeperWrite[]> {
    const [add, drop] = present ? [[group], []] : [[], [group]]
    if (kind === 'entity') {
      const before = await this.groupsOf(id)
      const groups = changed(before, add, drop)
      return [this.#keys.memberOf(id, groups), this.#keys.member(group, id, present)]
    }
    const key = this.#keys.at(groupCodec, id)
    const child = (await this.#keeper.get(key, groupCodec)) as GroupEntry | null
    const line = this.#keys.child(group, id, present)
    if (child === null) return [line]
    const entry = { ...child, parentIds: changed(child.parentIds, add, drop) }
    return [{ key, codec: groupCodec, entry }, line]
  }

  #locked(keys: readonly string[], work: () => Promise<void>): Promise<void> {
    const [first, ...rest] = keys
    if (first === undefined) return work()
    return this.#keeper.exclusively(first, () => this.#locked(rest, work))
  }
}

const changed = (before: readonly string[], add: readonly string[], drop: readonly string[]): readonly string[] => [
  ...new Set([...before.filter(one => !drop.includes(one)), ...add]),
]

/** @throws Fault for more groups than one entity may directly be in. */
export function checkGroups(entity: string, number: number): void {
  if (number <= groupsOfOneMax) return
  throw fault('request.invalid', `entity ${entity} can't be in more than ${groupsOfOneMax} groups`)
}
