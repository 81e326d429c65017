import { fault } from '#protocol/fault.ts'
import { checkMerge } from './clashes.ts'
import { type EntityEntry, entityCodec, entityNameCodec, type Work } from './entry.ts'
import type { IdentityParts, MountShown } from './parts.ts'
import { isId, nameBytesMax } from './keys.ts'
import { checkGroups } from './members.ts'
import { metadataProblem } from './metadata.ts'
import type { Works } from './works.ts'

/** Deleted at once: their commits share writes. */
const width = 64
/** Entities of one deletion. */
const entitiesMax = 10_000
const idLetters = 12

/** What an operator says of an entity; what isn't said stays. */
export type EntityChange = {
  readonly id?: string
  readonly name?: string
  readonly policies?: readonly string[]
  readonly metadata?: Readonly<Record<string, string>>
  readonly isDisabled?: boolean
}

export type MergeAsk = {
  readonly to: string
  readonly from: readonly string[]
  /** Aliases that stay where two of one mount meet. */
  readonly keep: readonly string[]
}

/** What of entities operators change, and find. Faults carry Vault's texts. @source vault vault/identity_store_entities.go */
export class Entities {
  readonly #parts: IdentityParts
  readonly #works: Works

  constructor(parts: IdentityParts, works: Works) {
    this.#parts = parts
    this.#works = works
    works.onMerge(work => this.#merged(work as Extract<Work, { kind: 'merge' }>))
  }

  async get(id: string): Promise<EntityEntry | null> {
    const { keeper, keys } = this.#parts
    return isId(id) ? ((await keeper.get(keys.at(entityCodec, id), entityCodec)) as EntityEntry | null) : null
  }

  async byName(name: string): Promise<EntityEntry | null> {
    const { keeper, keys } = this.#parts
    const key = keys.name('entity', name)
    const id = key === null ? null : ((await keeper.get(key, entityNameCodec)) as string | null)
    return id === null ? null : this.get(id)
  }

  /** In the order of their ids or names. @param after the last one before; empty: from the beginning. */
  async *all(by: 'id' | 'name', after: string): AsyncGenerator<EntityEntry> {
    const { keys, members, keeper } = this.#parts
    const codec = by === 'id' ? entityCodec : entityNameCodec
    const last = by === 'id' || after === '' ? after : keys.afterName(after)
    for await (const page of members.below(keys.folder(codec), last)) {
      for (const one of page) {
        const id =
          by === 'id' ? one : ((await keeper.get(keys.at(entityNameCodec, one), entityNameCodec)) as string | null)
        const entity = id === null ? null : await this.get(id)
        if (entity !== null) yield entity
      }
    }
  }

  async count(): Promise<number> {
    const { keys, members } = this.#parts
    let number = 0
    for await (const page of members.below(keys.folder(entityCodec))) number += page.length
    return number
  }

  /** A new one with a name of its own; not kept yet. */
  async blank(): Promise<EntityEntry> {
    const { entropy, clock } = this.#parts.world
    const now = clock.now()
    let name: string
    do name = `entity_${entropy.base62(idLetters).toLowerCase()}`
    while ((await this.byName(name)) !== null)
    return {
      id: entropy.uuid(),
      name,
      policies: [],
      metadata: {},
      isDisabled: false,
      aliases: [],
      mergedIds: [],
      createdAt: now,
      updatedAt: now,
    }
  }

  /** Finds it by id or name, or makes it. @returns the new one; null when there was one. */
  put(change: EntityChange): Promise<EntityEntry | null> {
    return this.#parts.alone(async () => {
      const found = await this.#meant(change)
      checkName('entity', change.name)
      const problem = change.metadata && metadataProblem(change.metadata)
      if (problem) throw fault('backend.failed', `invalid entity metadata: ${problem}`)
      if (found === null) {
        const made = applied(await this.blank(), change)
        await this.#parts.keeper.commit(this.#parts.keys.entities([], [made]))
        return made
      }
      await this.#update(found.id, now => ({ ...applied(now, change), updatedAt: this.#parts.world.clock.now() }))
      return null
    })
  }

  async #meant({ id, name }: EntityChange): Promise<EntityEntry | null> {
    const byId = id ? await this.get(id) : null
    if (id && byId === null) throw fault('request.invalid', 'entity not found from id')
    const byName = name ? await this.byName(name) : null
    if (byId !== null && byName !== null && byId.id !== byName.id)
      throw fault('request.invalid', 'entity name is already in use')
    return byId ?? byName
  }

  /** Held: a login writes what it brings under the same lock. */
  async #update(id: string, change: (now: EntityEntry) => EntityEntry): Promise<void> {
    const { keeper, keys } = this.#parts
    await keeper.exclusively(keys.at(entityCodec, id), async () => {
      const now = await this.get(id)
      if (now !== null) await keeper.commit(keys.entities([now], [change(now)]))
    })
  }

  /** Its tokens are good for nothing from then on. Unknown ids are gone already. */
  remove(ids: readonly string[]): Promise<void> {
    if (ids.length > entitiesMax)
      throw fault('request.invalid', `at most ${entitiesMax} entities can be deleted at once`)
    return this.#parts.alone(async () => {
      const left = [...new Set(ids)]
      while (left.length > 0) await Promise.all(left.splice(0, width).map(id => this.#remove(id)))
    })
  }

  async #remove(id: string): Promise<void> {
    const { keeper, keys } = this.#parts
    if (!isId(id)) return
    await keeper.exclusively(keys.at(entityCodec, id), async () => {
      const now = await this.get(id)
      if (now === null) return
      await this.#works.run({ kind: 'dead-entity', id, mergedIds: now.mergedIds }, keys.entities([now], []))
    })
  }

  /** All of `from` become `to`: their aliases, groups and tokens; not their policies and metadata. */
  merge(ask: MergeAsk, mountOf: MountShown): Promise<void> {
    return this.#parts.alone(async () => {
      const to = await this.get(ask.to)
      if (to === null) throw fault('request.invalid', 'entity id to merge to is invalid')
      if (ask.from.length > 1 && ask.keep.length > 1) {
        throw fault(
          'request.invalid',
          'aliases conflicts cannot be resolved with multiple from entity ids - merge one entity at a time',
        )
      }
      const ids = [...new Set(ask.from)]
      if (ids.includes(to.id)) throw fault('request.invalid', 'to_entity_id should not be present in from_entity_ids')
      const from: EntityEntry[] = []
      for (const id of ids) {
        const one = await this.get(id)
        if (one === null) throw fault('request.invalid', 'entity id to merge from is invalid')
        from.push(one)
      }
      checkMerge(to, from, ask.keep, mountOf)
      const groups = new Set<string>()
      for (const { id } of [to, ...from]) for (const one of await this.#parts.members.groupsOf(id)) groups.add(one)
      checkGroups(to.id, groups.size)
      await this.#works.run({ kind: 'merge', to: to.id, from: ids, keep: ask.keep })
    })
  }

  /** One after the other, each a commit; then the groups follow. One that is gone was merged before a crash. */
  async #merged({ to, from, keep }: Extract<Work, { kind: 'merge' }>): Promise<void> {
    const { keeper, keys, members } = this.#parts
    for (const id of from) {
      await this.#both(to, id, async () => {
        const [target, source] = [await this.get(to), await this.get(id)]
        if (target === null || source === null) return
        const next = this.#joined(target, source, keep)
        await keeper.commit([...keys.entities([target, source], [next]), keys.merged(id, to)])
      })
      const groups = await members.groupsOf(id)
      await members.change(to, { add: groups, drop: [] })
      await members.change(id, { add: [], drop: groups })
    }
  }

  // Locked in one order; who logs in holds one of them at most.
  #both(a: string, b: string, work: () => Promise<void>): Promise<void> {
    const { keeper, keys } = this.#parts
    const [first, second] = [a, b].sort() as [string, string]
    return keeper.exclusively(keys.at(entityCodec, first), () => keeper.exclusively(keys.at(entityCodec, second), work))
  }

  #joined(to: EntityEntry, from: EntityEntry, keep: readonly string[]): EntityEntry {
    const now = this.#parts.world.clock.now()
    const coming = from.aliases.filter(
      alias => !to.aliases.some(mine => mine.mountAccessor === alias.mountAccessor && keep.includes(mine.id)),
    )
    const staying = to.aliases.filter(mine => !coming.some(alias => alias.mountAccessor === mine.mountAccessor))
    return {
      ...to,
      aliases: [...staying, ...coming.map(one => ({ ...one, mergedFrom: [...one.mergedFrom, from.id] }))],
      mergedIds: [...to.mergedIds, ...from.mergedIds, from.id],
      updatedAt: now,
    }
  }
}

function applied(entity: EntityEntry, { name, policies, metadata, isDisabled }: EntityChange): EntityEntry {
  return {
    ...entity,
    ...(name && { name }),
    ...(policies && { policies }),
    ...(metadata && { metadata }),
    ...(isDisabled !== undefined && { isDisabled }),
  }
}

/** @throws Fault for one that no key can hold. */
export function checkName(what: 'entity' | 'group', name: string | undefined): void {
  if (name === undefined || (Buffer.byteLength(name) <= nameBytesMax && name.isWellFormed())) return
  throw fault('request.invalid', `the name of the ${what} has more than ${nameBytesMax} bytes or is no text`)
}
