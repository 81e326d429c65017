import type { Maybe } from '#ground/base/brand.ts'
import type { Instant, Seconds } from '#ground/base/clock.ts'
import { timed } from '#ground/base/metrics.ts'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { createHmacKey, type HmacKey } from '#ground/crypto/hmac.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Identity } from '#core/identity/identity.ts'
import type { Standing } from '#core/identity/standing.ts'
import type { Census } from '#core/leases/census.ts'
import type { DueIndex } from '#core/leases/due-index.ts'
import type { Due } from '#core/leases/due-lane.ts'
import type { LeaseOwner, Leases } from '#core/leases/leases.ts'
import { EntryCache } from '#core/storage/cache.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { fault } from '#protocol/fault.ts'
import { BatchTokens, batchOnly, batchPrefix, type Sealer } from './batch.ts'
import { Cubbyholes } from './cubbyholes.ts'
import type { TokenEntry } from './entry.ts'
import { type LiveToken, makeLive } from './live.ts'
import type { TokenMeters } from './meters.ts'
import { TokenShelf } from './shelf.ts'
import { TokenTidy } from './tidy.ts'
import { countedToken, tokenDue, TokenTree } from './tree.ts'

export type TokensOptions = {
  keeper: Keeper
  world: World
  identity: Identity
  due: DueIndex
  /** Ending in `/`: `root/token/`. */
  prefix: string
  /** Under this key tokens are hashed; kept behind the barrier. */
  salt: string
  /** Seals batch tokens: the barrier. */
  sealer: Sealer
  /** Is the mount of this accessor there, and not being removed? Batch tokens end with the mount that gave them. */
  isMounted: (accessor: string) => boolean
  /** Who ends the leases of a token: writes of the commit that ends it, then the word that this is durable. */
  leases: Pick<Leases, 'ending' | 'tokenEnded'>
  /** Told of each service token that comes or goes. */
  census: Census
  meters: TokenMeters
}

export type Issued = { readonly token: Secret; readonly key: TokenKey; readonly entry: TokenEntry }

/** Writes of the commit that makes a token; those that need its key are asked for with it. */
export type Beside = readonly KeeperWrite[] | ((key: TokenKey) => readonly KeeperWrite[])

/** A token that isn't written yet, and what is to be written beside it. */
type Newborn = Issued & { readonly writes: readonly KeeperWrite[] }

const liveBytes = 3_000
/** Of each entry that a standing was made of. */
const seenBytes = 200
/** Expired tokens removed at once; their commits share one write. */
const width = 128
const ancestorsMax = 64
const pageSize = 100

/** Tokens: made, found, renewed and ended. Policies and TTL rules are the callers'. */
export class Tokens {
  readonly #options: TokensOptions
  readonly #hmac: HmacKey
  readonly #live = new EntryCache(48 * 1024 * 1024)
  readonly #batch: BatchTokens
  readonly #tree: TokenTree
  /** Where service tokens lie. */
  readonly shelf: TokenShelf
  /** What each token keeps for itself. */
  readonly cubbyholes: Cubbyholes
  readonly tidy: TokenTidy

  constructor(options: TokensOptions) {
    this.#options = options
    this.#hmac = createHmacKey(options.salt)
    this.cubbyholes = new Cubbyholes({
      ...options,
      prefix: `${options.prefix}cubbyhole/`,
      attach: (key, writes) => this.attach(key, writes, 'hasCubbyhole'),
    })
    this.#batch = new BatchTokens(options.sealer, options.prefix)
    this.shelf = new TokenShelf(options.keeper, options.prefix)
    this.#tree = new TokenTree({ ...options, shelf: this.shelf, cubbyholes: this.cubbyholes })
    this.tidy = new TokenTidy({ ...options, shelf: this.shelf, cubbyholes: this.cubbyholes, tree: this.#tree })
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
    // What a batch token is never changes.
    const isSame = cached.entry.type === 'batch' || this.shelf.peek(cached.key) === cached.entry
    return isSame && this.#isCurrent(cached) ? this.#judge(cached) : this.#load(token, cached.key)
  }

  #isCurrent({ standing, isOrphaned }: LiveToken): boolean {
    return standing === null ? !isOrphaned : this.#options.identity.isCurrent(standing)
  }

  #load(token: string, key: TokenKey): Maybe<LiveToken | null> {
    const entry = token.startsWith(batchPrefix) ? this.#batch.open(token) : this.entry(key)
    return entry instanceof Promise
      ? entry.then(one => this.#withStanding(token, key, one))
      : this.#withStanding(token, key, entry)
  }

  #withStanding(token: string, key: TokenKey, entry: TokenEntry | null): Maybe<LiveToken | null> {
    if (entry === null) return null
    if (entry.entityId === '') return this.#keep(token, key, entry, null)
    const standing = this.#options.identity.standing(entry.entityId)
    return standing instanceof Promise
      ? standing.then(one => this.#keep(token, key, entry, one))
      : this.#keep(token, key, entry, standing)
  }

  #keep(token: string, key: TokenKey, entry: TokenEntry, standing: Standing | null): Maybe<LiveToken | null> {
    const live = makeLive(token, key, entry, standing)
    this.#live.set(token, live, liveBytes + (standing?.seen.length ?? 0) * seenBytes)
    return this.#judge(live)
  }

  #judge(live: LiveToken): Maybe<LiveToken | null> {
    const { entry } = live
    if (!this.isAlive(entry)) return null
    if (entry.type === 'batch' && !this.#options.isMounted(entry.mountAccessor)) return null
    return entry.parent === null ? live : this.#hasLivingAncestors(entry, entry.parent, live, 0)
  }

  #hasLivingAncestors(of: TokenEntry, parent: TokenKey, live: LiveToken, depth: number): Maybe<LiveToken | null> {
    if (depth > ancestorsMax) return null
    const entry = this.entry(parent)
    const go = (one: TokenEntry | null): Maybe<LiveToken | null> => {
      if (one === null || !this.isAlive(one) || (of.parentAccessor ?? one.accessor) !== one.accessor) return null
      return one.parent === null ? live : this.#hasLivingAncestors(one, one.parent, live, depth + 1)
    }
    return entry instanceof Promise ? entry.then(go) : go(entry)
  }

  isAlive(entry: TokenEntry): boolean {
    return entry.numUses >= 0 && (entry.expiresAt === null || entry.expiresAt > this.#options.world.clock.now())
  }

  entry(key: TokenKey): Maybe<TokenEntry | null> {
    return this.shelf.entry(key)
  }

  /** @returns the living token's key and entry, or null. */
  async byAccessor(accessor: string): Promise<{ key: TokenKey; entry: TokenEntry } | null> {
    if (!/^[0-9A-Za-z.]{1,64}$/.test(accessor)) return null
    const found = await this.shelf.byAccessor(accessor)
    const entry = found === null ? null : await this.entry(found.token)
    return found === null || entry === null || !this.isAlive(entry) ? null : { key: found.token, entry }
  }

  /** As `find`, for who knows only the accessor: the plain token stays unknown. */
  async liveByAccessor(accessor: string): Promise<LiveToken | null> {
    const found = await this.byAccessor(accessor)
    if (found === null) return null
    const { entityId } = found.entry
    const standing = entityId === '' ? null : await this.#options.identity.standing(entityId)
    return makeLive('', found.key, found.entry, standing)
  }

  /** What a lease that this token asks for ends with. A parent that is gone takes none: attaching it will say so. */
  async leaseOwner({ key, entry }: LiveToken): Promise<LeaseOwner> {
    if (entry.type !== 'batch') return { token: { key, accessor: entry.accessor }, until: null }
    if (entry.parent === null) return { token: null, until: entry.expiresAt }
    const parent = await this.entry(entry.parent)
    return { token: { key: entry.parent, accessor: parent?.accessor ?? '' }, until: entry.expiresAt }
  }

  /** Ends every token that a mount made: before the mount goes. */
  async revokeOfMount(mountAccessor: string): Promise<void> {
    let after: string | undefined
    for (;;) {
      const page = await this.shelf.accessors({ ...(after !== undefined && { after }), limit: pageSize })
      for (const accessor of page.names) {
        const found = await this.byAccessor(accessor)
        if (found?.entry.mountAccessor === mountAccessor) await this.revoke(found.key)
      }
      if (!page.more) return
      after = page.names.at(-1)
    }
  }

  /**
   * Makes a service token: it works from the moment this resolves, and survives a crash from then on.
   * @param also writes of the same commit: a login's entity.
   * @param id only for tokens named by hand; else `hvs.` and 24 letters and digits.
   * @throws Fault when one of that id is there, or isn't wholly gone.
   */
  issue(entry: Omit<TokenEntry, 'accessor'>, also: Beside = [], id: string | null = null): Promise<Issued> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.create, () => this.#issue(entry, also, id))
  }

  async #issue(entry: Omit<TokenEntry, 'accessor'>, also: Beside, id: string | null): Promise<Issued> {
    const made = this.#newborn(entry, also, id)
    const isMade =
      (id === null || !(await this.#tree.hasRest(made.key))) &&
      (await this.#counted(made, () => this.#put(made, id !== null)))
    if (!isMade) throw fault('request.invalid', 'cannot create a token with a duplicate ID')
    return made
  }

  /** As `issue`, and ends a token that has no children in the same commit. @returns null when that one isn't alive */
  async replace(old: TokenKey, entry: Omit<TokenEntry, 'accessor'>, also: Beside): Promise<Issued | null> {
    const made = this.#newborn(entry, also, null)
    const writes = [this.shelf.write(made.key, made.entry), ...made.writes]
    const isDone = await this.#counted(made, () => this.#tree.spend(old, one => this.isAlive(one), writes))
    return isDone ? made : null
  }

  /** Ends a token that has no children, if it is alive; of several that try at once one gets true. */
  spend(key: TokenKey): Promise<boolean> {
    return this.#tree.spend(key, one => this.isAlive(one), [])
  }

  #newborn(entry: Omit<TokenEntry, 'accessor'>, also: Beside, id: string | null): Newborn {
    const { world, due } = this.#options
    const token = id ?? `hvs.${world.entropy.base62(24)}`
    const key = this.key(token)
    const whole: TokenEntry = { ...entry, accessor: world.entropy.base62(24) }
    const beside = typeof also === 'function' ? also(key) : also
    const writes: KeeperWrite[] = [this.shelf.accessorWrite(whole.accessor, key), ...beside]
    if (whole.parent !== null) writes.push(this.shelf.childWrite(whole.parent, key, true))
    if (whole.expiresAt !== null) writes.push(due.entry({ lane: tokenDue, id: key, at: whole.expiresAt }))
    return { token: new Secret(token), key, entry: whole, writes }
  }

  async #counted({ key, entry }: Issued, commit: () => Promise<boolean>): Promise<boolean> {
    const isMade = await this.#options.census.during(countedToken(key, entry), 1, commit)
    if (isMade && entry.expiresAt !== null) this.#options.due.expect(tokenDue, entry.expiresAt)
    return isMade
  }

  async #put({ key, entry, writes }: Newborn, isNamed: boolean): Promise<boolean> {
    if (isNamed)
      return this.shelf.update(key, now => (now === null ? { entry, also: writes, result: true } : { result: false }))
    await this.#options.keeper.commit([this.shelf.write(key, entry), ...writes])
    return true
  }

  /**
   * Makes a batch token, which is kept nowhere: only what comes with it is written.
   * @param also as with `issue`.
   * @throws Fault when its policies and metadata make it too long.
   */
  async issueBatch(
    entry: Omit<TokenEntry, keyof typeof batchOnly>,
    also: readonly KeeperWrite[] = [],
  ): Promise<Issued> {
    const whole: TokenEntry = { ...entry, ...batchOnly }
    const token = this.#batch.seal(whole)
    if (also.length > 0) await this.#options.keeper.commit(also)
    return { token: new Secret(token), key: this.key(token), entry: whole }
  }

  /** Extends (or shortens) a token's life; the index follows when its old time comes, or now when it became earlier. */
  async extend(
    key: TokenKey,
    change: { expiresAt: Instant; ttl: Seconds; period: Seconds; explicitMaxTtl: Seconds },
  ): Promise<TokenEntry | null> {
    const { world, due } = this.#options
    const renewed = await this.shelf.update<TokenEntry | null>(key, entry => {
      if (entry === null || !this.isAlive(entry)) return { result: null }
      const next: TokenEntry = {
        ...entry,
        expiresAt: change.expiresAt,
        grantedTtl: change.ttl,
        renewedAt: world.clock.now(),
        period: change.period,
        explicitMaxTtl: change.explicitMaxTtl,
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
    return this.shelf.update<number | null>(key, entry => {
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
    return this.shelf.update<boolean>(key, entry => {
      // The last use of a token is taken before its request is handled; the lease then ends with it.
      if (entry === null || (entry.expiresAt !== null && entry.expiresAt <= this.#options.world.clock.now()))
        return { result: false }
      return { ...(!entry[mark] && { entry: { ...entry, [mark]: true } }), also: writes, result: true }
    })
  }

  /** Ends a token and all that descend from it; unknown ones are ended already. */
  revoke(key: TokenKey): Promise<void> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.revokeTree, () => this.#tree.revoke(key))
  }

  /** Ends the token alone: its children live on as orphans. @returns false when it was not there */
  revokeOrphaning(key: TokenKey): Promise<boolean> {
    return this.#tree.revokeOrphaning(key)
  }

  /** Resumes ends that were cut short; on becoming active. */
  resume(): Promise<void> {
    return this.#tree.resume()
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
}
