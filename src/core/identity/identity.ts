import type { Maybe } from '#ground/base/brand.ts'
import type { Alias } from '#backend/login.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { fault } from '#protocol/fault.ts'
import { Aliases } from './aliases.ts'
import { Entities } from './entities.ts'
import {
  type AliasEntry,
  aliasCodec,
  type EntityEntry,
  entityCodec,
  type GroupEntry,
  groupAliasCodec,
  groupCodec,
} from './entry.ts'
import { Groups } from './groups.ts'
import { IdentityKeys, isId } from './keys.ts'
import { checkGroups, Members } from './members.ts'
import type { IdentityParts } from './parts.ts'
import { type Standing, Standings } from './standing.ts'
import { Works } from './works.ts'

/** The entity of a login, and the writes that make or update it: they go into the login's own commit. */
export type Found = {
  readonly entity: EntityEntry
  /** Of the entity and its groups, as they were written. */
  readonly policies: readonly string[]
  readonly writes: readonly KeeperWrite[]
  readonly isNew: boolean
}

/** Groups that one login may name. */
const groupsOfLoginMax = 2_000
/** How often a login begins anew because its entity was merged or deleted meanwhile. */
const triesMax = 5

/**
 * Entities, their aliases, and groups. An alias is the pair (mount accessor, name): a mount made anew has another
 * accessor, and its users are others.
 */
export class Identity {
  readonly #keeper: Keeper
  readonly #world: IdentityParts['world']
  readonly #keys: IdentityKeys
  readonly #members: Members
  readonly #standings: Standings
  readonly entities: Entities
  readonly aliases: Aliases
  readonly groups: Groups
  readonly works: Works

  /** @param prefix ending in `/`: `root/identity/`. */
  constructor(keeper: Keeper, world: IdentityParts['world'], prefix: string) {
    this.#keeper = keeper
    this.#world = world
    this.#keys = new IdentityKeys(prefix)
    this.#members = new Members(keeper, this.#keys)
    this.#standings = new Standings(keeper, this.#keys)
    const alone: IdentityParts['alone'] = work => keeper.exclusively(`${prefix}change`, work)
    const parts: IdentityParts = { keeper, world, keys: this.#keys, members: this.#members, alone }
    this.works = new Works(parts)
    this.entities = new Entities(parts, this.works)
    this.aliases = new Aliases(parts)
    this.groups = new Groups(parts, this.works)
  }

  entity(id: string): Maybe<EntityEntry | null> {
    return this.#keeper.get(this.#keys.at(entityCodec, id), entityCodec) as Maybe<EntityEntry | null>
  }

  /** What a token of this entity is good for; null: the entity is gone. At once when it is in memory. */
  standing(id: string): Maybe<Standing | null> {
    return this.#standings.of(id)
  }

  /** Is it still so? Takes no more than a look into memory for each entry. */
  isCurrent(standing: Standing): boolean {
    return this.#standings.isCurrent(standing)
  }

  /**
   * Finds or makes the entity and hands it to `register`, whose commit must hold `writes`. Two first logins of one
   * alias at once come one after the other, so that they find one entity.
   * @param groups those of the outside that the alias is in now: its memberships through this mount become these.
   */
  atLogin<R>(
    mountAccessor: string,
    alias: Alias,
    register: (found: Found) => Promise<R>,
    groups: readonly Alias[] = [],
  ): Promise<R> {
    const indexKey = this.#keys.alias('entity', mountAccessor, alias.name)
    if (indexKey === null) throw fault('internal', 'internal error', { reason: 'a mount without accessor, or no name' })
    const ask = { mountAccessor, alias, groups, register }
    const known = this.#keeper.peek(indexKey) as string | null | undefined
    const standing = typeof known === 'string' ? this.standing(known) : null
    // Many log in as one (pods of one service account): they don't wait for each other where nothing changes.
    if (standing !== null && !(standing instanceof Promise) && this.#isSettled(standing, ask))
      return register(unchanged(standing))
    return this.#slowly(indexKey, ask)
  }

  async #slowly<R>(indexKey: string, ask: LoginAsk<R>): Promise<R> {
    for (let tries = 0; tries < triesMax; tries++) {
      const step = await this.#keeper.exclusively<Step<R> | null>(indexKey, async () => {
        const id = (await this.#keeper.get(indexKey, aliasCodec)) as string | null
        return id === null ? { result: await this.#first(ask) } : this.#again(id, ask)
      })
      if (step === null) continue
      return 'result' in step ? step.result : ask.register(unchanged(step.standing))
    }
    throw fault('server.unready', 'the entity changes while it logs in: try again')
  }

  /** An entity that is there already, held while it changes. null: it is gone, or has the alias no more. */
  async #again<R>(id: string, ask: LoginAsk<R>): Promise<Step<R> | null> {
    const { mountAccessor, alias, groups, register } = ask
    if ((await this.entity(id)) === null) return null
    await this.refreshGroups(id, mountAccessor, groups)
    const standing = await this.standing(id)
    if (standing === null || isFresh(standing.entity, mountAccessor, alias)) return standing && { standing }
    return this.#keeper.exclusively(this.#keys.at(entityCodec, id), async () => {
      const now = await this.standing(id)
      if (now === null || now.entity.id !== id || !aliasOf(now.entity, mountAccessor, alias.name)) return null
      const next = this.#refreshed(now.entity, mountAccessor, alias)
      const writes = this.#keys.entities([now.entity], [next])
      return { result: await register({ entity: next, policies: now.policies, writes, isNew: false }) }
    })
  }

  /** Does the login bring nothing new, as far as is known without asking the store? */
  #isSettled({ entity, direct }: Standing, { mountAccessor, alias, groups }: LoginAsk<unknown>): boolean {
    if (!isFresh(entity, mountAccessor, alias)) return false
    const names = new Set(groups.map(group => group.name))
    const isRight = (group: GroupEntry): boolean => group.alias !== null && names.has(group.alias.name)
    if (!direct.every(group => !isThrough(group, mountAccessor) || isRight(group))) return false
    for (const name of names) {
      const key = this.#keys.alias('group', mountAccessor, name)
      const id = key === null ? null : (this.#keeper.peek(key) as string | null | undefined)
      if (id !== null && !direct.some(group => group.id === id)) return false
    }
    return true
  }

  async #first<R>({ mountAccessor, alias, groups, register }: LoginAsk<R>): Promise<R> {
    const entity = await this.#created(mountAccessor, alias)
    const writes = this.#keys.entities([], [entity])
    const wanted = await this.#groupsNamed(mountAccessor, groups)
    if (wanted.length === 0) return register({ entity, policies: entity.policies, writes, isNew: true })
    // A member must be there before it is one.
    await this.#keeper.commit(writes)
    await this.#members.change(entity.id, { add: wanted.map(group => group.id), drop: [] })
    const policies = (await this.standing(entity.id))?.policies ?? []
    return register({ entity, policies, writes: [], isNew: true })
  }

  /**
   * Who logged in, or renewed, is in these groups of the outside: its memberships through this mount become these.
   * @throws Fault for more groups than one entity may be in.
   * @source vault vault/identity_store_util.go refreshExternalGroupMembershipsByEntityID
   */
  async refreshGroups(entityId: string, mountAccessor: string, groups: readonly Alias[]): Promise<void> {
    const entity = (await this.standing(entityId))?.entity
    if (entity === undefined) return
    const before = await this.#members.groupsOf(entity.id)
    if (before.length === 0 && groups.length === 0) return
    const wanted = new Set((await this.#groupsNamed(mountAccessor, groups)).map(group => group.id))
    const drop: string[] = []
    for (const id of before) {
      if (wanted.has(id)) continue
      const group = await this.#group(id)
      if (group === null || isThrough(group, mountAccessor)) drop.push(id)
    }
    const add = [...wanted].filter(id => !before.includes(id))
    checkGroups(entity.id, before.length - drop.length + add.length)
    await this.#members.change(entity.id, { add, drop })
    // Deleted meanwhile, and what named it with it: it comes back into no group.
    if ((await this.entity(entity.id)) === null) {
      await this.#members.change(entity.id, { add: [], drop: await this.#members.groupsOf(entity.id) })
    }
  }

  /** The groups that have an alias of these names at the mount; who has none counts for nothing. */
  async #groupsNamed(mountAccessor: string, groups: readonly Alias[]): Promise<readonly GroupEntry[]> {
    if (groups.length > groupsOfLoginMax) {
      throw fault(
        'request.invalid',
        `the login names ${groups.length} groups; at most ${groupsOfLoginMax} can be taken`,
      )
    }
    const found: GroupEntry[] = []
    for (const name of new Set(groups.map(group => group.name))) {
      const key = this.#keys.alias('group', mountAccessor, name)
      const id = key === null ? null : ((await this.#keeper.get(key, groupAliasCodec)) as string | null)
      const group = id === null ? null : await this.#group(id)
      if (group !== null && group.type === 'external') found.push(group)
    }
    return found
  }

  async #group(id: string): Promise<GroupEntry | null> {
    return isId(id) ? ((await this.#keeper.get(this.#keys.at(groupCodec, id), groupCodec)) as GroupEntry | null) : null
  }

  async #created(mountAccessor: string, { name, metadata }: Alias): Promise<EntityEntry> {
    const blank = await this.entities.blank()
    const alias: AliasEntry = {
      id: this.#world.entropy.uuid(),
      mountAccessor,
      name,
      metadata,
      customMetadata: {},
      mergedFrom: [],
      createdAt: blank.createdAt,
      updatedAt: blank.createdAt,
    }
    return { ...blank, aliases: [alias] }
  }

  #refreshed(entity: EntityEntry, mountAccessor: string, { name, metadata }: Alias): EntityEntry {
    const updatedAt = this.#world.clock.now()
    const before = aliasOf(entity, mountAccessor, name)
    return { ...entity, aliases: entity.aliases.map(one => (one === before ? { ...one, metadata, updatedAt } : one)) }
  }
}

/** What came of it; without a result, nothing has to be written. */
type Step<R> = { readonly result: R } | { readonly standing: Standing }

const unchanged = ({ entity, policies }: Standing): Found => ({ entity, policies, writes: [], isNew: false })

/** Who is in it is for logins through this mount to say. One whose alias is gone is for any. */
const isThrough = ({ type, alias }: GroupEntry, mountAccessor: string): boolean =>
  type === 'external' && (alias === null || alias.mountAccessor === mountAccessor)

type LoginAsk<R> = {
  readonly mountAccessor: string
  readonly alias: Alias
  readonly groups: readonly Alias[]
  readonly register: (found: Found) => Promise<R>
}

const aliasOf = (entity: EntityEntry, mountAccessor: string, name: string): AliasEntry | undefined =>
  entity.aliases.find(one => one.mountAccessor === mountAccessor && one.name === name)

/** Is what the login brings what is known? */
function isFresh(entity: EntityEntry, mountAccessor: string, alias: Alias): boolean {
  const known = aliasOf(entity, mountAccessor, alias.name)
  return known !== undefined && sameTexts(known.metadata, alias.metadata)
}

function sameTexts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every(key => a[key] === b[key])
}
