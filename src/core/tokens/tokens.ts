import type { Maybe } from '#ground/base/brand.ts'
import type { Instant, Seconds } from '#ground/base/clock.ts'
import { timed } from '#ground/base/metrics.ts'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { createHmacKey, type HmacKey } from '#ground/crypto/hmac.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { EntityEntry, Identity } from '#core/identity/identity.ts'
import type { Census, Counted } from '#core/leases/census.ts'
import type { DueIndex } from '#core/leases/due-index.ts'
import type { Due } from '#core/leases/due-lane.ts'
import type { Leases } from '#core/leases/leases.ts'
import { EntryCache } from '#core/storage/cache.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { rangeBelow } from '#stores/keys.ts'
import { Cubbyholes } from './cubbyholes.ts'
import { accessorCodec, childCodec, dyingCodec, type TokenEntry, tokenCodec } from './entry.ts'
import { type LiveToken, makeLive } from './live.ts'
import type { TokenMeters } from './meters.ts'

export type TokensOptions = {
  keeper: Keeper
  world: World
  identity: Identity
  due: DueIndex
  /** Ending in `/`: `root/token/`. */
  prefix: string
  /** Under this key tokens are hashed; kept behind the barrier. */
  salt: string
  /** Who ends the leases of a token: writes of the commit that ends it, then the word that this is durable. */
  leases: Pick<Leases, 'ending' | 'tokenEnded'>
  census: Census
  meters: TokenMeters
}

/** The kind under which tokens stand in the index of due times. */
export const tokenDue = 'token'

export type Issued = { readonly token: Secret; readonly key: TokenKey; readonly entry: TokenEntry }

export type TokenPage = {
  readonly tokens: readonly { readonly key: TokenKey; readonly entry: TokenEntry }[]
  readonly next: TokenKey | null
}

const liveBytes = 3_000
/** Expired tokens removed at once; their commits share one write. */
const width = 128
const ancestorsMax = 64
const pageSize = 100

/** Service tokens: made, found, renewed and ended. Policies and TTL rules are the callers'. */
export class Tokens {
  readonly #options: TokensOptions
  readonly #hmac: HmacKey
  readonly #live = new EntryCache(48 * 1024 * 1024)
  /** What each token keeps for itself. */
  readonly cubbyholes: Cubbyholes

  constructor(options: TokensOptions) {
    this.#options = options
    this.#hmac = createHmacKey(options.salt)
    this.cubbyholes = new Cubbyholes({
      ...options,
      prefix: `${options.prefix}cubbyhole/`,
      attach: (key, writes) => this.attach(key, writes, 'hasCubbyhole'),
    })
    options.due.handle(tokenDue, width, due => this.#onDue(due))
  }

  key(token: string): TokenKey {
    return this.#hmac.hex(token).slice(0, 32) as TokenKey
  }

  /**
   * The token, if it is alive: known, not expired, not used up, no ancestor gone. At once when it was used lately.
   */
  find(token: string): Maybe<LiveToken | null> {
    const cached = this.#live.get(token)?.entry as LiveToken | undefined
    if (cached === undefined) return this.#load(token, this.key(token))
    const entry = this.#options.keeper.peek(this.#at(cached.key))
    if (entry !== cached.entry || !this.#isSameEntity(cached)) return this.#load(token, cached.key)
    return this.#judge(cached)
  }

  #isSameEntity(cached: LiveToken): boolean {
    return cached.entry.entityId === '' || this.#options.identity.peek(cached.entry.entityId) === cached.entity
  }

  #load(token: string, key: TokenKey): Maybe<LiveToken | null> {
    const entry = this.entry(key)
    return entry instanceof Promise
      ? entry.then(one => this.#withEntity(token, key, one))
      : this.#withEntity(token, key, entry)
  }

  #withEntity(token: string, key: TokenKey, entry: TokenEntry | null): Maybe<LiveToken | null> {
    if (entry === null) return null
    if (entry.entityId === '') return this.#keep(token, key, entry, null)
    const entity = this.#options.identity.entity(entry.entityId)
    return entity instanceof Promise
      ? entity.then(one => this.#keep(token, key, entry, one))
      : this.#keep(token, key, entry, entity)
  }

  #keep(token: string, key: TokenKey, entry: TokenEntry, entity: EntityEntry | null): Maybe<LiveToken | null> {
    const live = makeLive(token, key, entry, entity)
    this.#live.set(token, live, liveBytes)
    return this.#judge(live)
  }

  #judge(live: LiveToken): Maybe<LiveToken | null> {
    const { entry } = live
    if (!this.isAlive(entry)) return null
    if (entry.parent === null) return live
    return this.#hasLivingAncestors(entry.parent, live, 0)
  }

  #hasLivingAncestors(parent: TokenKey, live: LiveToken, depth: number): Maybe<LiveToken | null> {
    if (depth > ancestorsMax) return null
    const entry = this.entry(parent)
    const go = (one: TokenEntry | null): Maybe<LiveToken | null> => {
      if (one === null || !this.isAlive(one)) return null
      return one.parent === null ? live : this.#hasLivingAncestors(one.parent, live, depth + 1)
    }
    return entry instanceof Promise ? entry.then(go) : go(entry)
  }

  isAlive(entry: TokenEntry): boolean {
    return entry.numUses >= 0 && (entry.expiresAt === null || entry.expiresAt > this.#options.world.clock.now())
  }

  entry(key: TokenKey): Maybe<TokenEntry | null> {
    return this.#options.keeper.get(this.#at(key), tokenCodec) as Maybe<TokenEntry | null>
  }

  /** @returns the living token's key and entry, or null. */
  async byAccessor(accessor: string): Promise<{ key: TokenKey; entry: TokenEntry } | null> {
    if (!/^[0-9A-Za-z.]{1,64}$/.test(accessor)) return null
    const found = (await this.#options.keeper.get(this.#accessorAt(accessor), accessorCodec)) as {
      token: TokenKey
    } | null
    const entry = found === null ? null : await this.entry(found.token)
    return found === null || entry === null || !this.isAlive(entry) ? null : { key: found.token, entry }
  }

  /** As `find`, for who knows only the accessor: the plain token stays unknown. */
  async liveByAccessor(accessor: string): Promise<LiveToken | null> {
    const found = await this.byAccessor(accessor)
    if (found === null) return null
    const entity = found.entry.entityId === '' ? null : await this.#options.identity.entity(found.entry.entityId)
    return makeLive('', found.key, found.entry, entity)
  }

  /** Ends every token that a mount made: before the mount goes. */
  async revokeOfMount(mountAccessor: string): Promise<void> {
    let after: string | undefined
    for (;;) {
      const page = await this.accessors({ ...(after !== undefined && { after }), limit: pageSize })
      for (const accessor of page.keys) {
        const found = await this.byAccessor(accessor)
        if (found?.entry.mountAccessor === mountAccessor) await this.revoke(found.key)
      }
      if (!page.more) return
      after = page.keys.at(-1)
    }
  }

  /** Tokens in the order of their keys, those that are dead and not yet removed among them. `next` null: no more. */
  async page(after: TokenKey | null, limit: number): Promise<TokenPage> {
    const folder = this.#options.prefix + tokenCodec.prefix
    const paging = { ...(after !== null && { after: folder + after }), limit }
    const { keys, more } = await this.#options.keeper.scanKeys(rangeBelow(folder), paging)
    const tokens: { key: TokenKey; entry: TokenEntry }[] = []
    for (const at of keys) {
      const key = at.slice(folder.length) as TokenKey
      const entry = await this.entry(key)
      if (entry !== null) tokens.push({ key, entry })
    }
    return { tokens, next: more ? (keys.at(-1)!.slice(folder.length) as TokenKey) : null }
  }

  /** Accessors in order, paged. */
  async accessors(paging: { after?: string; limit: number }): Promise<{ keys: readonly string[]; more: boolean }> {
    const page = await this.#options.keeper.list(this.#options.prefix + accessorCodec.prefix, paging)
    return { keys: page.names, more: page.more }
  }

  /**
   * Makes a token: it works from the moment this resolves, and survives a crash from then on.
   * @param also writes of the same commit: a login's entity.
   * @param id only for tokens named by hand; else `hvs.` and 24 letters and digits.
   */
  issue(
    entry: Omit<TokenEntry, 'accessor'>,
    also: readonly KeeperWrite[] = [],
    id: string | null = null,
  ): Promise<Issued> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.create, () => this.#issue(entry, also, id))
  }

  async #issue(entry: Omit<TokenEntry, 'accessor'>, also: readonly KeeperWrite[], id: string | null): Promise<Issued> {
    const { keeper, world, due, census } = this.#options
    const token = id ?? `hvs.${world.entropy.base62(24)}`
    const key = this.key(token)
    const whole: TokenEntry = { ...entry, accessor: world.entropy.base62(24) }
    const writes: KeeperWrite[] = [
      this.#write(key, whole),
      { key: this.#accessorAt(whole.accessor), codec: accessorCodec, entry: { token: key } },
      ...also,
    ]
    if (whole.parent !== null) writes.push(this.#child(whole.parent, key, true))
    if (whole.expiresAt !== null) writes.push(due.entry({ lane: tokenDue, id: key, at: whole.expiresAt }))
    if (whole.expiresAt === null) await keeper.commit(writes)
    else {
      await census.during(this.#counted(key, whole), 1, () => keeper.commit(writes).then(() => true))
      due.expect(tokenDue, whole.expiresAt)
    }
    return { token: new Secret(token), key, entry: whole }
  }

  /** Extends (or shortens) a token's life; the index follows when its old time comes, or now when it became earlier. */
  async extend(
    key: TokenKey,
    change: { expiresAt: Instant; ttl: Seconds; policies?: readonly string[] },
  ): Promise<TokenEntry | null> {
    const { keeper, world, due } = this.#options
    const renewed = await keeper.update<TokenEntry | null>(this.#at(key), tokenCodec, now => {
      const entry = now as TokenEntry | null
      if (entry === null || !this.isAlive(entry)) return { result: null }
      const next: TokenEntry = {
        ...entry,
        expiresAt: change.expiresAt,
        grantedTtl: change.ttl,
        renewedAt: world.clock.now(),
        ...(change.policies && { policies: change.policies }),
      }
      const isEarlier = entry.expiresAt === null || change.expiresAt < entry.expiresAt
      return {
        entry: next,
        ...(isEarlier && { also: [due.entry({ lane: tokenDue, id: key, at: change.expiresAt })] }),
        result: next,
      }
    })
    if (renewed?.expiresAt) due.expect(tokenDue, renewed.expiresAt)
    return renewed
  }

  /**
   * Takes one use, durably, before the request goes on.
   * @returns how many are left after it (0 = this was the last: end the token when the answer is made), or null when
   * another request took the last one.
   */
  useOne(key: TokenKey): Promise<number | null> {
    return this.#options.keeper.update<number | null>(this.#at(key), tokenCodec, now => {
      const entry = now as TokenEntry | null
      if (entry === null || entry.numUses <= 0) return { result: null }
      const left = entry.numUses - 1
      return { entry: { ...entry, numUses: left === 0 ? -1 : left }, result: left }
    })
  }

  /**
   * Writes what hangs on the token, if it is alive: false = it is dead, and nothing was written.
   * @param mark tells the token's end what there is to end with it
   */
  attach(
    key: TokenKey,
    writes: readonly KeeperWrite[],
    mark: 'hasLeases' | 'hasCubbyhole' = 'hasLeases',
  ): Promise<boolean> {
    return this.#options.keeper.update<boolean>(this.#at(key), tokenCodec, now => {
      const entry = now as TokenEntry | null
      // The last use of a token is taken before its request is handled; the lease then ends with it.
      if (entry === null || (entry.expiresAt !== null && entry.expiresAt <= this.#options.world.clock.now()))
        return { result: false }
      return { ...(!entry[mark] && { entry: { ...entry, [mark]: true } }), also: writes, result: true }
    })
  }

  /**
   * Ends a token and all that descend from it; unknown ones are ended already. The token itself is dead in the first
   * commit, and with it its descendants, whose life hangs on it; what they left is removed in further ones, which a
   * restart resumes.
   */
  revoke(key: TokenKey): Promise<void> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.revokeTree, () => this.#revoke(key))
  }

  async #revoke(key: TokenKey): Promise<void> {
    const entry = await this.entry(key)
    if (entry === null) return
    await this.#end(key, entry, now => [this.#dying(key, true), ...this.#traces(key, now)])
    await this.#removeTree(key)
  }

  /** Ends the token alone: its children live on as orphans. */
  async revokeOrphaning(key: TokenKey): Promise<boolean> {
    const entry = await this.entry(key)
    if (entry === null) return false
    for (;;) {
      const page = await this.#children(key)
      if (page.keys.length === 0) break
      for (const child of page.keys) {
        await this.#options.keeper.update(this.#at(child), tokenCodec, now => ({
          ...(now !== null && { entry: { ...(now as TokenEntry), parent: null } }),
          also: [this.#child(key, child, null)],
          result: undefined,
        }))
      }
    }
    return this.#end(key, entry, now => this.#traces(key, now))
  }

  /** Resumes trees whose removal was cut short; on becoming active. */
  async resume(): Promise<void> {
    for (;;) {
      const page = await this.#options.keeper.list(this.#options.prefix + dyingCodec.prefix, { limit: pageSize })
      if (page.names.length === 0) return
      for (const key of page.names) await this.#removeTree(key as TokenKey)
    }
  }

  async #removeTree(root: TokenKey): Promise<void> {
    const { keeper } = this.#options
    const stack: TokenKey[] = [root]
    while (stack.length > 0) {
      const parent = stack.at(-1)!
      const page = await this.#children(parent)
      if (page.keys.length === 0) {
        stack.pop()
        continue
      }
      for (const child of page.keys) {
        const entry = await this.entry(child)
        // The index entry goes last, when the child has no children left: else a crash would lose sight of them.
        if (entry !== null) await this.#end(child, entry, now => this.#traces(child, now, { keepIndex: true }))
        if ((await this.#children(child)).keys.length > 0) stack.push(child)
        else await keeper.commit([this.#child(parent, child, null)])
      }
    }
    await keeper.commit([this.#dying(root, null)])
  }

  async #children(parent: TokenKey): Promise<{ keys: readonly TokenKey[] }> {
    const page = await this.#options.keeper.list(`${this.#options.prefix}${childCodec.prefix}${parent}/`, {
      limit: pageSize,
    })
    return { keys: page.names as readonly TokenKey[] }
  }

  async #onDue({ id, at }: Due): Promise<readonly KeeperWrite[]> {
    const { world, due, meters } = this.#options
    const key = id as TokenKey
    const entry = await this.entry(key)
    if (entry === null || entry.expiresAt === null) return []
    if (entry.expiresAt <= world.clock.now()) {
      meters.expiration.inQueue.add(Math.max(0, world.clock.now() - at))
      await this.revoke(key)
      meters.expiration.ended.add()
      return []
    }
    due.expect(tokenDue, entry.expiresAt)
    return [due.entry({ lane: tokenDue, id: key, at: entry.expiresAt })]
  }

  /** One of several that try at once does it, and gets true. */
  async #end(key: TokenKey, entry: TokenEntry, also: (now: TokenEntry) => KeeperWrite[]): Promise<boolean> {
    const { keeper, census, leases } = this.#options
    // What hung on it in the end: something may have come since it was read.
    let last = null as TokenEntry | null
    const remove = (): Promise<boolean> =>
      keeper.update<boolean>(this.#at(key), tokenCodec, now => {
        last = now as TokenEntry | null
        return last === null ? { result: false } : { entry: null, also: also(last), result: true }
      })
    const isEnded = await (entry.expiresAt === null ? remove() : census.during(this.#counted(key, entry), -1, remove))
    if (!isEnded) return false
    if (last?.hasLeases) leases.tokenEnded()
    if (last?.hasCubbyhole) this.cubbyholes.tokenEnded()
    return true
  }

  /** Beside its entry. */
  #traces(key: TokenKey, entry: TokenEntry, options: { keepIndex?: boolean } = {}): KeeperWrite[] {
    const writes: KeeperWrite[] = [{ key: this.#accessorAt(entry.accessor), codec: accessorCodec, entry: null }]
    if (entry.parent !== null && !options.keepIndex) writes.push(this.#child(entry.parent, key, null))
    if (entry.expiresAt !== null) {
      writes.push(this.#options.due.remove({ lane: tokenDue, id: key, at: entry.expiresAt }))
    }
    if (entry.hasLeases) writes.push(...this.#options.leases.ending(key))
    if (entry.hasCubbyhole) writes.push(...this.cubbyholes.ending(entry.accessor))
    return writes
  }

  #counted(key: TokenKey, entry: TokenEntry): Counted {
    return { ...countedToken(key, entry), due: { lane: tokenDue, id: key, at: entry.expiresAt! } }
  }

  #at(key: TokenKey): string {
    return `${this.#options.prefix}${tokenCodec.prefix}${key}`
  }

  #accessorAt(accessor: string): string {
    return `${this.#options.prefix}${accessorCodec.prefix}${accessor}`
  }

  #write(key: TokenKey, entry: TokenEntry): KeeperWrite {
    return { key: this.#at(key), codec: tokenCodec, entry }
  }

  #child(parent: TokenKey, child: TokenKey, entry: true | null): KeeperWrite {
    const key = `${this.#options.prefix}${childCodec.prefix}${parent}/${child}`
    return { key, codec: childCodec, entry, uncached: true }
  }

  #dying(key: TokenKey, entry: true | null): KeeperWrite {
    return { key: `${this.#options.prefix}${dyingCodec.prefix}${key}`, codec: dyingCodec, entry, uncached: true }
  }
}

export const countedToken = (key: TokenKey, entry: TokenEntry): Counted => ({
  kind: 'token',
  key,
  path: entry.path,
  role: entry.role ?? null,
})
