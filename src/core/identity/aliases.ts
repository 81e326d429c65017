import { goQuote } from '#ground/text/quote.ts'
import { fault } from '#protocol/fault.ts'
import { type AliasEntry, aliasCodec, aliasIdCodec, type EntityEntry, entityCodec } from './entry.ts'
import { isId } from './keys.ts'
import { customMetadataProblem } from './metadata.ts'
import { aliasesMax, checkAliasName, type IdentityParts, type MountShown } from './parts.ts'

/** What an operator says of an alias; empty: nothing. */
export type AliasAsk = {
  readonly id: string
  readonly name: string
  readonly mountAccessor: string
  /** The entity. */
  readonly canonicalId: string
  /** null: not said. */
  readonly customMetadata: Readonly<Record<string, string>> | null
}

/** An alias with the entity that it belongs to. */
export type AliasFound = { readonly alias: AliasEntry; readonly entity: EntityEntry }

/** Ways of entities to log in, as operators change and find them. @source vault vault/identity_store_aliases.go */
export class Aliases {
  readonly #parts: IdentityParts

  constructor(parts: IdentityParts) {
    this.#parts = parts
  }

  async get(id: string): Promise<AliasFound | null> {
    const { keeper, keys } = this.#parts
    if (!isId(id)) return null
    const entityId = (await keeper.get(keys.at(aliasIdCodec, id), aliasIdCodec)) as string | null
    const entity = entityId === null ? null : await this.#entity(entityId)
    const alias = entity?.aliases.find(one => one.id === id)
    return entity === null || alias === undefined ? null : { alias, entity }
  }

  async byFactors(mountAccessor: string, name: string): Promise<AliasFound | null> {
    const { keeper, keys } = this.#parts
    const key = keys.alias('entity', mountAccessor, name)
    const entityId = key === null ? null : ((await keeper.get(key, aliasCodec)) as string | null)
    const entity = entityId === null ? null : await this.#entity(entityId)
    const alias = entity?.aliases.find(one => one.mountAccessor === mountAccessor && one.name === name)
    return entity === null || alias === undefined ? null : { alias, entity }
  }

  /** In the order of their ids. @param after the last one before; empty: from the beginning. */
  async *all(after: string): AsyncGenerator<AliasFound> {
    const { keys, members } = this.#parts
    for await (const page of members.below(keys.folder(aliasIdCodec), after)) {
      for (const id of page) {
        const found = await this.get(id)
        if (found !== null) yield found
      }
    }
  }

  /** Makes it, or changes the one that the id or else both factors name. @returns null when nothing changes. */
  put(ask: AliasAsk, mountOf: MountShown, blank: () => Promise<EntityEntry>): Promise<AliasFound | null> {
    checkAliasName(ask.name)
    const problem = ask.customMetadata && customMetadataProblem(ask.customMetadata)
    if (problem) throw fault('backend.failed', problem)
    return this.#parts.alone(async () => {
      if (ask.id !== '') {
        const found = await this.get(ask.id)
        if (found === null) throw fault('request.invalid', 'invalid alias ID provided')
        return this.#update(
          found,
          { ...ask, customMetadata: ask.customMetadata ?? found.alias.customMetadata },
          mountOf,
        )
      }
      const { mountAccessor, name } = ask
      if (mountAccessor === '' || name === '')
        throw fault('request.invalid', "'id' or 'mount_accessor' and 'name' must be provided")
      if (mountOf(mountAccessor) === null) throw unknownMount(mountAccessor)
      // Nobody logs in under it for the first time meanwhile.
      return this.#parts.keeper.exclusively(this.#parts.keys.alias('entity', mountAccessor, name)!, async () => {
        const found = await this.byFactors(mountAccessor, name)
        return found === null ? this.#create(ask, blank) : this.#update(found, ask, mountOf, true)
      })
    })
  }

  async #create(ask: AliasAsk, blank: () => Promise<EntityEntry>): Promise<AliasFound> {
    const { world, keeper, keys } = this.#parts
    const now = world.clock.now()
    const alias: AliasEntry = {
      id: world.entropy.uuid(),
      mountAccessor: ask.mountAccessor,
      name: ask.name,
      metadata: {},
      customMetadata: ask.customMetadata ?? {},
      mergedFrom: [],
      createdAt: now,
      updatedAt: now,
    }
    if (ask.canonicalId === '') {
      const entity = { ...(await blank()), aliases: [alias] }
      await keeper.commit(keys.entities([], [entity]))
      return { alias, entity }
    }
    return this.#held([ask.canonicalId], async () => {
      const before = await this.#entity(ask.canonicalId)
      if (before === null) throw fault('request.invalid', 'invalid canonical ID')
      if (before.aliases.some(one => one.mountAccessor === ask.mountAccessor))
        throw fault('request.invalid', 'Alias already exists for requested entity and mount accessor')
      checkNumber(before)
      const entity = { ...before, aliases: [...before.aliases, alias], updatedAt: now }
      await keeper.commit(keys.entities([before], [entity]))
      return { alias, entity }
    })
  }

  /** @param isLocked whether the factors that it shall have are held already */
  async #update(found: AliasFound, ask: AliasAsk, mountOf: MountShown, isLocked = false): Promise<AliasFound | null> {
    const { keys, keeper } = this.#parts
    const mountAccessor = ask.mountAccessor || found.alias.mountAccessor
    const name = ask.name || found.alias.name
    const customMetadata = ask.customMetadata ?? {}
    const isMoved = ask.canonicalId !== '' && ask.canonicalId !== found.entity.id
    const isRenamed = name !== found.alias.name || mountAccessor !== found.alias.mountAccessor
    if (!isMoved && !isRenamed && sameTexts(customMetadata, found.alias.customMetadata)) return null
    const mount = mountOf(mountAccessor)
    if (mount === null) throw unknownMount(mountAccessor)
    if (isMoved && mount.isLocal) throw fault('request.invalid', "local aliases can't be moved between entities")
    const change = { mountAccessor, name, customMetadata, updatedAt: this.#parts.world.clock.now() }
    const ids = [found.entity.id, ...(isMoved ? [ask.canonicalId] : [])]
    const work = (): Promise<AliasFound> =>
      this.#held(ids, () => this.#change(found, change, isMoved ? ask.canonicalId : null))
    if (isLocked || !isRenamed) return work()
    return keeper.exclusively(keys.alias('entity', mountAccessor, name)!, async () => {
      const other = await this.byFactors(mountAccessor, name)
      if (other !== null && other.alias.id !== found.alias.id)
        throw fault('request.invalid', 'alias with combination of mount accessor and name already exists')
      return work()
    })
  }

  async #change(found: AliasFound, change: Partial<AliasEntry>, to: string | null): Promise<AliasFound> {
    const { keeper, keys } = this.#parts
    const before = (await this.#entity(found.entity.id))!
    const now = before.aliases.find(one => one.id === found.alias.id)!
    const alias = { ...now, ...change }
    const others = before.aliases.filter(one => one !== now)
    if (to === null) {
      if (others.some(one => one.mountAccessor === alias.mountAccessor)) {
        // The blank at its end is Vault's.
        const text = "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor' "
        throw fault('request.invalid', text)
      }
      const entity = { ...before, aliases: before.aliases.map(one => (one === now ? alias : one)) }
      await keeper.commit(keys.entities([before], [entity]))
      return { alias, entity }
    }
    const target = await this.#entity(to)
    if (target === null) throw fault('request.invalid', "given 'canonical_id' is not associated with an entity")
    if (target.aliases.some(one => one.mountAccessor === alias.mountAccessor))
      throw fault('request.invalid', 'Alias cannot be updated as the given entity already has an alias for this mount ')
    checkNumber(target)
    const entity = { ...target, aliases: [...target.aliases, alias] }
    await keeper.commit(keys.entities([before, target], [{ ...before, aliases: others }, entity]))
    return { alias, entity }
  }

  /** Who logs in with it next is somebody new. Unknown ids are gone already. */
  remove(id: string): Promise<void> {
    const { alone, keeper, keys } = this.#parts
    return alone(async () => {
      const found = await this.get(id)
      if (found === null) return
      await this.#held([found.entity.id], async () => {
        const before = (await this.#entity(found.entity.id))!
        const aliases = before.aliases.filter(one => one.id !== id)
        await keeper.commit(keys.entities([before], [{ ...before, aliases }]))
      })
    })
  }

  async #entity(id: string): Promise<EntityEntry | null> {
    const { keeper, keys } = this.#parts
    return isId(id) ? ((await keeper.get(keys.at(entityCodec, id), entityCodec)) as EntityEntry | null) : null
  }

  // Logins write to entities, too.
  #held<R>(ids: readonly string[], work: () => Promise<R>): Promise<R> {
    const { keeper, keys } = this.#parts
    const [first, ...rest] = [...ids].sort()
    if (first === undefined) return work()
    return keeper.exclusively(keys.at(entityCodec, first), () => this.#held(rest, work))
  }
}

const unknownMount = (accessor: string): Error =>
  fault('request.invalid', `invalid mount accessor ${goQuote(accessor)}`)

function checkNumber({ aliases }: EntityEntry): void {
  if (aliases.length >= aliasesMax) throw fault('request.invalid', `an entity can have at most ${aliasesMax} aliases`)
}

function sameTexts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every(key => a[key] === b[key])
}
