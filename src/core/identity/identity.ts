import { createHash } from 'node:crypto'
import type { Maybe } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { Alias } from '#backend/login.ts'
import type { Codec } from '#backend/storage.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'

export type AliasEntry = {
  readonly id: string
  readonly mountAccessor: string
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
  readonly createdAt: Instant
}

/** A person or workload, whichever way it logs in; its policies add to those of each of its tokens. */
export type EntityEntry = {
  readonly id: string
  readonly name: string
  readonly policies: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly isDisabled: boolean
  readonly aliases: readonly AliasEntry[]
  readonly createdAt: Instant
}

export const entityCodec: Codec<EntityEntry> = { prefix: 'entity/', encode: jsonBytes.encode, decode: jsonBytes.decode }
/** `alias/<mount accessor>/<hash of the name>` → entity id. */
export const aliasCodec: Codec<string> = { prefix: 'alias/', encode: jsonBytes.encode, decode: jsonBytes.decode }

/** The entity of a login, and the writes that make or update it: they go into the login's own commit. */
export type Found = { readonly entity: EntityEntry; readonly writes: readonly KeeperWrite[]; readonly isNew: boolean }

/**
 * Entities and their aliases. An alias is the pair (mount accessor, name): a mount made anew has another accessor, and
 * its users are others.
 */
export class Identity {
  readonly #keeper: Keeper
  readonly #world: Pick<World, 'clock' | 'entropy'>
  readonly #prefix: string

  /** @param prefix ending in `/`: `root/identity/`. */
  constructor(keeper: Keeper, world: Pick<World, 'clock' | 'entropy'>, prefix: string) {
    this.#keeper = keeper
    this.#world = world
    this.#prefix = prefix
  }

  entity(id: string): Maybe<EntityEntry | null> {
    return this.#keeper.get(this.#entityKey(id), entityCodec) as Maybe<EntityEntry | null>
  }

  /** What is in memory: undefined when not known. */
  peek(id: string): EntityEntry | null | undefined {
    return this.#keeper.peek(this.#entityKey(id)) as EntityEntry | null | undefined
  }

  /**
   * Finds or makes the entity and hands it to `register`, whose commit must hold `writes`. Two first logins of one
   * alias at once come one after the other, so that they find one entity.
   */
  atLogin<R>(mountAccessor: string, alias: Alias, register: (found: Found) => Promise<R>): Promise<R> {
    const indexKey = this.#aliasKey(mountAccessor, alias.name)
    const known = this.#keeper.peek(indexKey) as string | null | undefined
    if (typeof known === 'string') {
      const entity = this.peek(known)
      if (entity) return register(this.#refreshed(entity, mountAccessor, alias))
    }
    return this.#keeper.exclusively(indexKey, async () => {
      const id = (await this.#keeper.get(indexKey, aliasCodec)) as string | null
      const entity = id === null ? null : await this.entity(id)
      return register(
        entity === null ? this.#created(indexKey, mountAccessor, alias) : this.#refreshed(entity, mountAccessor, alias),
      )
    })
  }

  #created(indexKey: string, mountAccessor: string, alias: Alias): Found {
    const { entropy, clock } = this.#world
    const now = clock.now()
    const entity: EntityEntry = {
      id: entropy.uuid(),
      name: `entity_${entropy.base62(8).toLowerCase()}`,
      policies: [],
      metadata: {},
      isDisabled: false,
      aliases: [{ id: entropy.uuid(), mountAccessor, name: alias.name, metadata: alias.metadata, createdAt: now }],
      createdAt: now,
    }
    const writes = [this.#write(entity), { key: indexKey, codec: aliasCodec, entry: entity.id }]
    return { entity, writes, isNew: true }
  }

  #refreshed(entity: EntityEntry, mountAccessor: string, alias: Alias): Found {
    const now = entity.aliases.find(one => one.mountAccessor === mountAccessor && one.name === alias.name)
    if (now && sameTexts(now.metadata, alias.metadata)) return { entity, writes: [], isNew: false }
    const aliases = entity.aliases.map(one => (one === now ? { ...one, metadata: alias.metadata } : one))
    const next = { ...entity, aliases }
    return { entity: next, writes: [this.#write(next)], isNew: false }
  }

  #write(entity: EntityEntry): KeeperWrite {
    return { key: this.#entityKey(entity.id), codec: entityCodec, entry: entity }
  }

  #entityKey(id: string): string {
    return `${this.#prefix}${entityCodec.prefix}${id}`
  }

  // Names hold what the outside likes (slashes, blanks): the key has their hash.
  #aliasKey(mountAccessor: string, name: string): string {
    const hash = createHash('sha256').update(name).digest('base64url')
    return `${this.#prefix}${aliasCodec.prefix}${mountAccessor}/${hash}`
  }
}

function sameTexts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every(key => a[key] === b[key])
}
