import { goQuote } from '#ground/text/quote.ts'
import { fault } from '#protocol/fault.ts'
import { checkName, type Entities } from './entities.ts'
import {
  type AliasEntry,
  childCodec,
  type GroupEntry,
  groupAliasCodec,
  groupAliasIdCodec,
  groupCodec,
  groupNameCodec,
  type Member,
  memberCodec,
} from './entry.ts'
import { isId } from './keys.ts'
import { checkGroups, membersOfCommit } from './members.ts'
import { metadataProblem } from './metadata.ts'
import { checkAliasName, type IdentityParts, type MountShown } from './parts.ts'
import type { Works } from './works.ts'

/** Groups of one group, and groups that one group is in. */
const groupsMax = 1_000
/** Groups looked at before a ring is ruled out. */
const visitsMax = 100_000

/** What an operator says of a group; what isn't said stays. */
export type GroupChange = {
  readonly name?: string
  readonly type?: string
  readonly policies?: readonly string[]
  readonly metadata?: Readonly<Record<string, string>>
  readonly entities?: readonly string[]
  readonly groups?: readonly string[]
}

export type GroupAliasAsk = { readonly name: string; readonly mountAccessor: string; readonly canonicalId: string }
export type GroupAliasFound = { readonly alias: AliasEntry; readonly group: GroupEntry }

/** Groups, as operators change and find them. Faults carry Vault's texts. @source vault vault/identity_store_groups.go */
export class Groups {
  readonly #parts: IdentityParts
  readonly #works: Works

  constructor(parts: IdentityParts, works: Works) {
    this.#parts = parts
    this.#works = works
  }

  async get(id: string): Promise<GroupEntry | null> {
    const { keeper, keys } = this.#parts
    return isId(id) ? ((await keeper.get(keys.at(groupCodec, id), groupCodec)) as GroupEntry | null) : null
  }

  async byName(name: string): Promise<GroupEntry | null> {
    const { keeper, keys } = this.#parts
    const key = keys.name('group', name)
    const id = key === null ? null : ((await keeper.get(key, groupNameCodec)) as string | null)
    return id === null ? null : this.get(id)
  }

  /** In the order of their ids or names. @param after the last one before; empty: from the beginning. */
  async *all(by: 'id' | 'name', after: string): AsyncGenerator<GroupEntry> {
    const { keys, members, keeper } = this.#parts
    const codec = by === 'id' ? groupCodec : groupNameCodec
    const last = by === 'id' || after === '' ? after : keys.afterName(after)
    for await (const page of members.below(keys.folder(codec), last)) {
      for (const one of page) {
        const id =
          by === 'id' ? one : ((await keeper.get(keys.at(groupNameCodec, one), groupNameCodec)) as string | null)
        const group = id === null ? null : await this.get(id)
        if (group !== null) yield group
      }
    }
  }

  /** In the order of their ids. */
  async *aliases(after: string): AsyncGenerator<GroupAliasFound> {
    const { keys, members } = this.#parts
    for await (const page of members.below(keys.folder(groupAliasIdCodec), after)) {
      for (const id of page) {
        const found = await this.alias(id)
        if (found !== null) yield found
      }
    }
  }

  async entitiesOf(id: string): Promise<readonly string[]> {
    return this.#all(`${this.#parts.keys.folder(memberCodec)}${id}/`)
  }

  async groupsOf(id: string): Promise<readonly string[]> {
    const ids = await this.#all(`${this.#parts.keys.folder(childCodec)}${id}/`)
    const there = await Promise.all(ids.map(async one => (await this.get(one)) !== null))
    return ids.filter((_, i) => there[i])
  }

  /** Those of its parents that are there. */
  async parentsOf({ parentIds }: GroupEntry): Promise<readonly string[]> {
    const there = await Promise.all(parentIds.map(async one => (await this.get(one)) !== null))
    return parentIds.filter((_, i) => there[i])
  }

  async #all(folder: string): Promise<readonly string[]> {
    const ids: string[] = []
    for await (const page of this.#parts.members.below(folder)) ids.push(...page)
    return ids
  }

  /** @param id null: that of the name, or a new one. @returns the new one; null when there was one. */
  put(id: string | null, change: GroupChange, entities: Entities): Promise<GroupEntry | null> {
    return this.#parts.alone(async () => {
      const found = id === null ? (change.name ? await this.byName(change.name) : null) : await this.get(id)
      if (id !== null && found === null) throw fault('request.invalid', 'invalid group ID')
      const next = await this.#next(found, change)
      const members = await this.#changes(next, found === null, change, entities)
      await this.#write(found, next, members)
      return found === null ? next : null
    })
  }

  async #next(found: GroupEntry | null, change: GroupChange): Promise<GroupEntry> {
    const { world } = this.#parts
    const now = world.clock.now()
    if (change.type !== undefined && found !== null && change.type !== found.type)
      throw fault('request.invalid', 'group type cannot be changed')
    const type = change.type || (found?.type ?? 'internal')
    if (type !== 'internal' && type !== 'external')
      throw fault('request.invalid', `invalid group type ${goQuote(type)}`)
    checkName('group', change.name)
    const other = change.name ? await this.byName(change.name) : null
    if (other !== null && other.id !== found?.id) throw fault('request.invalid', 'group name is already in use')
    if (type === 'external' && change.entities !== undefined)
      throw fault('request.invalid', "member entities can't be set manually for external groups")
    if (type === 'external' && change.groups !== undefined)
      throw fault('request.invalid', "member groups can't be set for external groups")
    const problem = change.metadata && metadataProblem(change.metadata)
    if (problem) throw fault('backend.failed', `invalid group metadata: ${problem}`)
    const before = found ?? (await this.#blank(type))
    return {
      ...before,
      ...(change.name && { name: change.name }),
      ...(change.policies && { policies: change.policies }),
      ...(change.metadata && { metadata: change.metadata }),
      updatedAt: now,
      modifyIndex: before.modifyIndex + 1,
    }
  }

  async #blank(type: GroupEntry['type']): Promise<GroupEntry> {
    const { entropy, clock } = this.#parts.world
    const now = clock.now()
    let name: string
    do name = `group_${entropy.base62(12).toLowerCase()}`
    while ((await this.byName(name)) !== null)
    const id = entropy.uuid()
    const blank = { policies: [], metadata: {}, parentIds: [], alias: null, modifyIndex: 0 }
    return { ...blank, id, name, type, createdAt: now, updatedAt: now }
  }

  /** Who comes and who goes. */
  async #changes(
    group: GroupEntry,
    isNew: boolean,
    { entities, groups }: GroupChange,
    known: Entities,
  ): Promise<{ add: readonly Member[]; drop: readonly Member[] }> {
    const add: Member[] = []
    const drop: Member[] = []
    const compare = (kind: Member['kind'], before: readonly string[], after: readonly string[]): void => {
      const [was, is] = [new Set(before), new Set(after)]
      for (const id of is) if (!was.has(id)) add.push({ kind, id })
      for (const id of was) if (!is.has(id)) drop.push({ kind, id })
    }
    if (entities !== undefined) {
      for (const id of entities) {
        if ((await known.get(id)) === null) throw fault('backend.failed', `invalid entity ID ${goQuote(id)}`)
      }
      compare('entity', isNew ? [] : await this.entitiesOf(group.id), entities)
      for (const { id } of add) checkGroups(id, (await this.#parts.members.groupsOf(id)).length + 1)
    }
    if (groups !== undefined) {
      if (groups.length > groupsMax)
        throw fault('request.invalid', `a group can have at most ${groupsMax} groups as members`)
      compare('group', isNew ? [] : await this.groupsOf(group.id), groups)
      const visited = new Set<string>()
      for (const { kind, id } of add) if (kind === 'group') await this.#checkChild(group.id, id, visited)
    }
    return { add, drop }
  }

  async #checkChild(id: string, child: string, visited: Set<string>): Promise<void> {
    const entry = await this.get(child)
    if (entry === null && child !== id) throw fault('backend.failed', `invalid member group ID ${goQuote(child)}`)
    if (child === id) throw fault('backend.failed', `member group ID ${goQuote(child)} is same as the ID of the group`)
    if (entry!.parentIds.length >= groupsMax)
      throw fault('request.invalid', `group ${child} is a member of ${groupsMax} groups already`)
    if (await this.#reaches(child, id, visited))
      throw fault('request.invalid', `cyclic relationship detected for member group ID ${goQuote(child)}`)
  }

  /** Is `id` among the members of `from`, or of these, at any depth? */
  async #reaches(from: string, id: string, visited: Set<string>): Promise<boolean> {
    const stack = [from]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (at === id) return true
      if (visited.has(at)) continue
      visited.add(at)
      if (visited.size > visitsMax) throw fault('request.invalid', 'the groups are nested too deeply')
      stack.push(...(await this.groupsOf(at)))
    }
    return false
  }

  /** One commit where it fits into one. */
  async #write(
    before: GroupEntry | null,
    next: GroupEntry,
    members: { add: readonly Member[]; drop: readonly Member[] },
  ): Promise<void> {
    const { add, drop } = members
    if (add.length + drop.length > membersOfCommit) return this.#works.run({ kind: 'group', next, add, drop })
    await this.#parts.members.changeOf(next.id, members, this.#parts.keys.group(before, next))
  }

  /** Its policies count for nobody from then on. Unknown ids are gone already. */
  remove(find: () => Promise<GroupEntry | null>): Promise<void> {
    const { alone, keys } = this.#parts
    return alone(async () => {
      const group = await find()
      if (group === null) return
      const { id, parentIds } = group
      await this.#works.run({ kind: 'dead-group', id, parentIds }, keys.group(group, null))
    })
  }

  async alias(id: string): Promise<GroupAliasFound | null> {
    const { keeper, keys } = this.#parts
    if (!isId(id)) return null
    return this.#aliased((await keeper.get(keys.at(groupAliasIdCodec, id), groupAliasIdCodec)) as string | null)
  }

  async aliasByFactors(mountAccessor: string, name: string): Promise<GroupAliasFound | null> {
    const { keeper, keys } = this.#parts
    const key = keys.alias('group', mountAccessor, name)
    return this.#aliased(key === null ? null : ((await keeper.get(key, groupAliasCodec)) as string | null))
  }

  async #aliased(groupId: string | null): Promise<GroupAliasFound | null> {
    const group = groupId === null ? null : await this.get(groupId)
    return group === null || group.alias === null ? null : { alias: group.alias, group }
  }

  /**
   * Ties a group of the outside to an external one. @param id null: a new alias. @returns null when nothing changes.
   * @source vault vault/identity_store_group_aliases.go handleGroupAliasUpdateCommon
   */
  putAlias(id: string | null, ask: GroupAliasAsk, mountOf: MountShown): Promise<GroupAliasFound | null> {
    return this.#parts.alone(async () => {
      const found = id === null ? null : await this.alias(id)
      if (id !== null && found === null) throw fault('request.invalid', 'invalid group alias ID')
      const { name, mountAccessor, canonicalId } = ask
      if (name === '') throw fault('request.invalid', 'missing alias name')
      checkAliasName(name)
      if (mountAccessor === '') throw fault('request.invalid', 'missing mount_accessor')
      const isSame = found?.alias.name === name && found.alias.mountAccessor === mountAccessor
      if (isSame && (canonicalId === '' || canonicalId === found.group.id)) return null
      const target = await this.#target(canonicalId)
      await this.#checkFactors(ask, found, mountOf)
      return this.#tie(found, target, ask)
    })
  }

  async #target(canonicalId: string): Promise<GroupEntry | null> {
    if (canonicalId === '') return null
    const group = await this.get(canonicalId)
    if (group === null) throw fault('request.invalid', "invalid group ID given in 'canonical_id'")
    if (group.type !== 'external') throw fault('request.invalid', "alias can't be set on an internal group")
    return group
  }

  async #checkFactors(
    { mountAccessor, name }: GroupAliasAsk,
    found: GroupAliasFound | null,
    mountOf: MountShown,
  ): Promise<void> {
    const mount = mountOf(mountAccessor)
    if (mount === null) throw fault('request.invalid', `invalid mount accessor ${goQuote(mountAccessor)}`)
    if (mount.isLocal) throw fault('request.invalid', `mount accessor ${goQuote(mountAccessor)} is a local mount`)
    const other = await this.aliasByFactors(mountAccessor, name)
    if (other !== null && other.alias.id !== found?.alias.id)
      throw fault('request.invalid', 'combination of mount and group alias name is already in use')
  }

  async #tie(
    found: GroupAliasFound | null,
    target: GroupEntry | null,
    { name, mountAccessor }: GroupAliasAsk,
  ): Promise<GroupAliasFound> {
    const { world, keeper, keys } = this.#parts
    const now = world.clock.now()
    const blank = { id: world.entropy.uuid(), metadata: {}, customMetadata: {}, mergedFrom: [], createdAt: now }
    const alias: AliasEntry = { ...(found?.alias ?? blank), name, mountAccessor, updatedAt: now }
    const before = target ?? found?.group ?? null
    const group: GroupEntry = {
      ...(before ?? (await this.#blank('external'))),
      alias,
      updatedAt: now,
      modifyIndex: (before?.modifyIndex ?? 0) + 1,
    }
    const isMoved = found !== null && found.group.id !== group.id
    const left = isMoved ? keys.group(found.group, { ...found.group, alias: null, updatedAt: now }) : []
    // What finds the alias is written last: by the group that has it now.
    await keeper.commit(latest([...left, ...keys.group(before, group)]))
    return { alias, group }
  }

  /** Nobody comes into the group by it any more. Unknown ids are gone already. */
  removeAlias(id: string): Promise<void> {
    const { alone, keeper, keys, world } = this.#parts
    return alone(async () => {
      const found = await this.alias(id)
      if (found === null) return
      const next = { ...found.group, alias: null, updatedAt: world.clock.now() }
      await keeper.commit(keys.group(found.group, next))
    })
  }
}

/** One write a key: the last. */
const latest = <W extends { readonly key: string }>(writes: readonly W[]): W[] => [
  ...new Map(writes.map(write => [write.key, write])).values(),
]
