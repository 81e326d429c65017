import { type Instant, instant, type Seconds, seconds } from '#ground/base/clock.ts'
import { timed } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import type { Json } from '#ground/text/json.ts'
import type { Granted, TokenKey } from '#backend/engine.ts'
import type { Outcome } from '#backend/reply.ts'
import type { Mount } from '#core/mounts/mount.ts'
import type { SystemTtls } from '#core/mounts/mounts.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { Fault, fault } from '#protocol/fault.ts'
import { rangeBelow } from '#stores/keys.ts'
import type { Census, Counted } from './census.ts'
import type { DueIndex } from './due-index.ts'
import type { Due } from './due-lane.ts'
import type { EffectRoom } from './effects.ts'
import type { LeaseMeters } from './meters.ts'
import { countedLease, irrevocableCodec, type LeaseEntry, leaseCodec, ownedCodec, type RevokeResult } from './entry.ts'
import { sweep } from './sweep.ts'
import { calculateTtl } from './ttl.ts'
import { asked } from './asked.ts'

export type LeasesOptions = {
  keeper: Keeper
  world: World
  due: DueIndex
  effects: EffectRoom
  /** Ending in `/`: `root/lease/`. */
  prefix: string
  mountOf: (accessor: string) => Mount | null
  ttlsOf: (mount: Mount) => SystemTtls
  /** Adds writes to the token's life: false when it is dead, and nothing was written. */
  attach: (token: TokenKey, writes: readonly KeeperWrite[]) => Promise<boolean>
  census: Census
  meters: LeaseMeters
  /** One more can't be revoked, or one less. */
  onIrrevocable: (by: 1 | -1) => void
}

/** Who a lease belongs to. */
export type LeaseOwner = {
  /** null: a token that is kept nowhere; the lease can't outlive it. */
  readonly token: TokenKey | null
  readonly expiresAt: Instant | null
}

export type LeaseAsk = {
  readonly path: string
  readonly mount: Mount
  readonly secret: Extract<Outcome, { kind: 'lease' }>
  readonly owner: LeaseOwner
  readonly role: string | null
}

export type LeaseGranted = { readonly entry: LeaseEntry; readonly warnings: readonly string[] }

const leaseDue = 'lease'
const endedDue = 'ended'
/** Revocations at once, per mount: one dead system starves nobody. */
const width = 16
const attemptsMax = 6
const firstRetryMs = 10_000
const dayMs = 86_400_000
/** ms that an engine has for one revocation or renewal. */
const engineMsMax = 60_000
const errorCharactersMax = 240
const pageSize = 100

/**
 * Secrets that end. A lease is an entry, a due time, and a line beside its token, all written in the commit that settles
 * the engine's intent; nothing of it is in memory, so that a million of them cost none.
 * @source openbao vault/expiration.go
 */
export class Leases {
  readonly #options: LeasesOptions
  #tidying = false

  constructor(options: LeasesOptions) {
    this.#options = options
    options.due.handle(leaseDue, width, (due, signal) => this.#onDue(due, signal))
    options.due.handle(endedDue, width, due => this.#onEnded(due))
  }

  get meters(): LeaseMeters {
    return this.#options.meters
  }

  /**
   * The lease of a secret that an engine just made: durable when this resolves.
   * @throws Fault when the token died meanwhile; what the engine intended is undone then.
   */
  async register(ask: LeaseAsk): Promise<LeaseGranted> {
    const { world, meters } = this.#options
    try {
      const granted = await timed(world.clock, meters.register, () => this.#register(ask))
      meters.created(ask.mount.entry.type, ask.mount.path, granted.entry.ttl)
      return granted
    } catch (error) {
      const { settles } = ask.secret
      if (settles !== undefined) await this.#options.effects.abandon(ask.mount.entry.accessor, settles)
      throw error
    }
  }

  async #register({ path, mount, secret, owner, role }: LeaseAsk): Promise<LeaseGranted> {
    const { keeper, world, due, effects, attach, census } = this.#options
    const now = world.clock.now()
    const grant = this.#grant(mount, {
      increment: seconds(0),
      granted: { ttl: secret.ttl, maxTtl: secret.maxTtl },
      issuedAt: now,
    })
    const kind = mount.engine.leases?.[secret.secretType]
    if (kind === undefined) throw new Error(`engine ${mount.entry.type} has no secrets of type ${secret.secretType}`)
    const bound = owner.token === null ? (owner.expiresAt ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY
    const leaf = world.entropy.base62(24)
    const entry: LeaseEntry = {
      id: `${path}/${leaf}`,
      mount: mount.entry.accessor,
      secretType: secret.secretType,
      internal: secret.internal,
      token: owner.token,
      role,
      issuedAt: now,
      expiresAt: instant(Math.min(now + grant.ttl * 1000, bound)),
      renewedAt: null,
      ttl: seconds((Math.min(now + grant.ttl * 1000, bound) - now) / 1000),
      maxTtl: secret.maxTtl,
      renewable: secret.renewable && kind.renew !== undefined,
      attempts: 0,
      error: null,
    }
    const settled = secret.settles === undefined ? {} : { settles: secret.settles }
    const log = effects.of(entry.mount)
    const writes = [this.#write(entry), due.entry(this.#due(entry, entry.expiresAt)), ...log.writes(settled)]
    const { token } = owner
    const isMade = await census.during(this.#counted(entry), 1, () =>
      token === null
        ? keeper.commit(writes).then(() => true)
        : attach(token, [...writes, this.#owned(token, entry.id, true)]),
    )
    if (!isMade) {
      throw fault('token.invalid', 'permission denied', { reason: 'the token ended while the secret was made' })
    }
    log.written(settled)
    due.expect(this.#lane(entry), entry.expiresAt)
    return { entry, warnings: grant.warnings }
  }

  /** @returns the lease, also when it is past its end and not yet revoked. */
  async get(id: string): Promise<LeaseEntry | null> {
    if (!isLeaseId(id)) return null
    return (await this.#options.keeper.get(this.#at(id), leaseCodec)) as LeaseEntry | null
  }

  /** As `get`, for who wants to see how long it lives. */
  times(id: string): Promise<LeaseEntry | null> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.fetchTimes, () => this.get(id))
  }

  /** One level of ids below a prefix that ends in `/` or is empty; folders end in `/`. */
  async list(prefix: string, paging: { after?: string; limit: number }) {
    return this.#options.keeper.list(this.#options.prefix + leaseCodec.prefix + prefix, paging)
  }

  /** Ids in order, all below a prefix that ends in `/`. */
  async below(prefix: string, after: string | undefined, limit: number): Promise<readonly string[]> {
    const folder = `${this.#options.prefix}${leaseCodec.prefix}`
    const page = await this.#options.keeper.scanKeys(rangeBelow(folder + prefix), {
      ...(after !== undefined && { after: folder + after }),
      limit,
    })
    return page.keys.map(key => key.slice(folder.length))
  }

  /** Leases that ended and can't be revoked, by id. */
  async irrevocable(after: string | undefined, limit: number): Promise<readonly string[]> {
    const folder = `${this.#options.prefix}${irrevocableCodec.prefix}`
    const page = await this.#options.keeper.scanKeys(rangeBelow(folder), {
      ...(after !== undefined && { after: folder + after }),
      limit,
    })
    return page.keys.map(key => key.slice(folder.length))
  }

  /** @throws Fault with Vault's texts. */
  renew(id: string, increment: Seconds, signal: AbortSignal): Promise<LeaseGranted> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.renew, () => this.#renew(id, increment, signal))
  }

  async #renew(id: string, increment: Seconds, signal: AbortSignal): Promise<LeaseGranted> {
    const { keeper, world, mountOf } = this.#options
    const entry = await this.get(id)
    if (entry === null) throw fault('request.invalid', 'lease not found')
    if (entry.error !== null)
      throw fault('request.invalid', 'lease is expired and has failed previous revocation attempts')
    if (entry.expiresAt <= world.clock.now()) throw fault('request.invalid', 'lease expired')
    const mount = mountOf(entry.mount)
    const kind = mount?.engine.leases?.[entry.secretType]
    if (!entry.renewable || mount === null || kind?.renew === undefined)
      throw fault('request.invalid', 'lease is not renewable')
    const granted = await asked(world.clock, signal, engineMsMax, within =>
      kind.renew!(this.#held(entry, increment, within), mount.state),
    )
    const grant = this.#grant(mount, { increment, granted, issuedAt: entry.issuedAt })
    const now = world.clock.now()
    const expiresAt = instant(now + grant.ttl * 1000)
    const next = await keeper.update<LeaseEntry | null>(this.#at(id), leaseCodec, current => {
      const kept = current as LeaseEntry | null
      // Revoked while the engine was asked.
      if (kept === null || kept.expiresAt <= now) return { result: null }
      const renewed: LeaseEntry = { ...kept, expiresAt, ttl: grant.ttl, renewedAt: now }
      const isEarlier = expiresAt < kept.expiresAt
      return {
        entry: renewed,
        ...(isEarlier && { also: [this.#options.due.entry(this.#due(kept, expiresAt))] }),
        result: renewed,
      }
    })
    if (next === null) throw fault('request.invalid', 'lease not found')
    this.#options.due.expect(this.#lane(next), expiresAt)
    return { entry: next, warnings: [...(granted.warnings ?? []), ...grant.warnings] }
  }

  /**
   * Ends it now, and says how that went. Unknown ids are ended already.
   * @param options `engineMs`: the time that its engine has; default and most: 60,000.
   */
  async revoke(id: string, signal: AbortSignal, options: { engineMs?: number } = {}): Promise<RevokeResult> {
    const entry = await this.get(id)
    if (entry === null) return { kind: 'revoked' }
    return this.#attempt(entry, signal, options)
  }

  /** Takes it out of the store whatever its system says: an account may stay behind. */
  async forget(id: string): Promise<void> {
    const entry = await this.get(id)
    if (entry !== null) await this.#remove(entry)
  }

  /** Its time ends now, durably; revocation follows by itself. */
  async expire(id: string): Promise<void> {
    const { keeper, world, due } = this.#options
    const at = world.clock.now()
    const ended = await keeper.update<LeaseEntry | null>(this.#at(id), leaseCodec, current => {
      const entry = current as LeaseEntry | null
      if (entry === null || entry.expiresAt <= at) return { result: entry }
      const next = { ...entry, expiresAt: at }
      return { entry: next, also: [due.entry(this.#due(entry, at))], result: next }
    })
    if (ended !== null) due.expect(this.#lane(ended), at)
  }

  /** Before a mount goes: all its leases end. @throws Fault when one can't be revoked; the mount stays, then. */
  async endOfMount(accessor: string, path: string, signal: AbortSignal): Promise<void> {
    const end = async (id: string): Promise<void> => {
      const result = await this.revoke(id, signal)
      if (result.kind === 'revoked') return
      throw fault('request.invalid', `failed to revoke "${id}" (${accessor}): ${result.error}`)
    }
    await sweep(this, path, { after: null, end, isEnough: () => false, signal })
  }

  /**
   * Looks through all leases in the background: one whose token is gone ends.
   * @returns false while an earlier one is still under way
   */
  tidy(isTokenThere: (token: TokenKey) => Promise<boolean>): boolean {
    if (this.#tidying) return false
    this.#tidying = true
    const { log } = this.#options.world
    void this.#tidy(isTokenThere)
      .then(counted => log.info('leases are tidied', counted))
      .catch(error => log.error('leases could not be tidied', { error }))
      .finally(() => {
        this.#tidying = false
      })
    return true
  }

  async #tidy(isTokenThere: (token: TokenKey) => Promise<boolean>): Promise<{ leases: number; ended: number }> {
    const counted = { leases: 0, ended: 0 }
    for (let after: string | undefined; ; ) {
      const ids = await this.below('', after, pageSize)
      if (ids.length === 0) return counted
      this.#options.world.signal.throwIfAborted()
      for (const id of ids) {
        const entry = await this.get(id)
        counted.leases++
        if (entry === null || entry.token === null || (await isTokenThere(entry.token))) continue
        counted.ended++
        await this.expire(id)
      }
      after = ids.at(-1)
    }
  }

  /** For the commit that ends a token which has leases: they end soon after, whatever happens. Then call `tokenEnded`. */
  ending(token: TokenKey): readonly KeeperWrite[] {
    return [this.#options.due.entry({ lane: endedDue, id: token, at: this.#options.world.clock.now() })]
  }

  tokenEnded(): void {
    this.#options.due.expect(endedDue, this.#options.world.clock.now())
  }

  #onEnded({ id: token }: Due): Promise<readonly KeeperWrite[]> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.revokeByToken, () => this.#expireOf(token))
  }

  async #expireOf(token: string): Promise<readonly KeeperWrite[]> {
    const { keeper } = this.#options
    const folder = `${this.#options.prefix}${ownedCodec.prefix}${token}/`
    let after: string | undefined
    for (;;) {
      const page = await keeper.list(folder, { ...(after !== undefined && { after }), limit: pageSize })
      for (const name of page.names) {
        const owned = (await keeper.get(folder + name, ownedCodec)) as { id: string } | null
        if (owned !== null) await this.expire(owned.id)
      }
      if (!page.more) return []
      after = page.names.at(-1)
    }
  }

  async #onDue(due: Due, signal: AbortSignal): Promise<readonly KeeperWrite[] | 'removed'> {
    const entry = await this.get(due.id)
    if (entry === null) return []
    // Renewed since: it is due again at its new end.
    if (entry.expiresAt > this.#options.world.clock.now() && entry.error === null) {
      this.#options.due.expect(due.lane, entry.expiresAt)
      return [this.#options.due.entry(this.#due(entry, entry.expiresAt))]
    }
    const { world, meters } = this.#options
    meters.expiration.inQueue.add(Math.max(0, world.clock.now() - due.at))
    const { kind } = await this.#attempt(entry, signal, { due })
    meters.expiration[kind === 'revoked' ? 'ended' : 'failed'].add()
    return 'removed'
  }

  /** @param options `due`: its line of the index, if it fell due: taken out with the outcome. */
  #attempt(entry: LeaseEntry, signal: AbortSignal, options: { due?: Due; engineMs?: number }): Promise<RevokeResult> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.revoke, () => this.#revoke(entry, signal, options))
  }

  async #revoke(
    entry: LeaseEntry,
    signal: AbortSignal,
    { due, engineMs = engineMsMax }: { due?: Due; engineMs?: number },
  ): Promise<RevokeResult> {
    const mount = this.#options.mountOf(entry.mount)
    const kind = mount?.engine.leases?.[entry.secretType]
    try {
      if (mount === null) throw fault('path.unsupported', 'the mount that made it is not there')
      if (kind === undefined) throw fault('path.unsupported', `no secrets of type ${entry.secretType} any more`)
      const ask = (within: AbortSignal) => kind.revoke(this.#held(entry, seconds(0), within), mount.state)
      await asked(this.#options.world.clock, signal, engineMs, ask)
    } catch (error) {
      // This node ends, or who asked is gone: that says nothing of the lease.
      if (signal.aborted) throw error
      return this.#failed(entry, error, due)
    }
    await this.#remove(entry, due)
    return { kind: 'revoked' }
  }

  async #failed(entry: LeaseEntry, error: unknown, fallen?: Due): Promise<RevokeResult> {
    const { keeper, world, due } = this.#options
    const text = (error instanceof Error ? error.message : String(error)).slice(0, errorCharactersMax)
    const isFinal = error instanceof Fault && (error.code === 'request.invalid' || error.code === 'path.unsupported')
    const attempts = entry.attempts + 1
    const isIrrevocable = entry.error !== null || isFinal || attempts >= attemptsMax
    const next: LeaseEntry = {
      ...entry,
      attempts,
      error: isIrrevocable ? text : null,
      expiresAt: instant(Math.min(entry.expiresAt, world.clock.now())),
    }
    const message = isIrrevocable ? 'a lease can not be revoked; it needs you' : 'a lease could not be revoked yet'
    world.log[isIrrevocable ? 'error' : 'warn'](message, { lease: entry.id, attempts, error: text })
    const retryAt = this.#retryAt(next)
    const also = [due.entry(this.#due(next, retryAt))]
    if (fallen !== undefined) also.push(due.remove(fallen))
    if (isIrrevocable) also.push(this.#irrevocable(entry.id, true))
    const before = await keeper.update<LeaseEntry | null>(this.#at(entry.id), leaseCodec, now =>
      now === null ? { result: null } : { entry: next, also, result: now as LeaseEntry },
    )
    // Another attempt did it meanwhile.
    if (before === null) return { kind: 'revoked' }
    if (isIrrevocable && before.error === null) this.#options.onIrrevocable(1)
    due.expect(this.#lane(entry), retryAt)
    return { kind: isIrrevocable ? 'irrevocable' : 'failed', entry: next, error: text }
  }

  // Spread, so that what failed together isn't tried together.
  #retryAt({ attempts, error }: LeaseEntry): Instant {
    const { clock, entropy } = this.#options.world
    const wait = error === null ? firstRetryMs * 2 ** (attempts - 1) : dayMs
    return instant(clock.now() + wait * (0.5 + entropy.fraction()))
  }

  #grant(mount: Mount, ask: { increment: Seconds; granted: Granted; issuedAt: Instant }) {
    const ttls = this.#options.ttlsOf(mount)
    const grant = calculateTtl({
      increment: ask.increment,
      backendTtl: ask.granted.ttl,
      backendMaxTtl: ask.granted.maxTtl,
      period: ask.granted.period ?? seconds(0),
      explicitMaxTtl: seconds(0),
      mountDefaultTtl: ttls.defaultTtl,
      mountMaxTtl: ttls.maxTtl,
      issuedAt: ask.issuedAt,
      now: this.#options.world.clock.now(),
    })
    if (grant.kind === 'past') throw fault('request.invalid', 'past the max TTL, cannot renew')
    return grant
  }

  #held(entry: LeaseEntry, increment: Seconds, signal: AbortSignal) {
    const { secretType, internal, issuedAt, expiresAt } = entry
    return { leaseId: entry.id, secretType, internal: internal as Json, issuedAt, expiresAt, increment, signal }
  }

  /** One of several that try at once does it. */
  async #remove(entry: LeaseEntry, due?: Due): Promise<void> {
    const { keeper, census, onIrrevocable } = this.#options
    let last = null as LeaseEntry | null
    const isGone = await census.during(this.#counted(entry), -1, () =>
      keeper.update<boolean>(this.#at(entry.id), leaseCodec, now => {
        last = now as LeaseEntry | null
        return last === null ? { result: false } : { entry: null, also: this.#traces(last, due), result: true }
      }),
    )
    if (isGone && last?.error != null) onIrrevocable(-1)
  }

  #counted(entry: LeaseEntry): Counted {
    return { ...countedLease(entry.id, entry.role), due: this.#due(entry, entry.expiresAt) }
  }

  #traces(entry: LeaseEntry, fallen?: Due): readonly KeeperWrite[] {
    const { due } = this.#options
    const writes = [due.remove(this.#due(entry, entry.expiresAt))]
    if (fallen !== undefined && fallen.at !== entry.expiresAt) writes.push(due.remove(fallen))
    if (entry.token !== null) writes.push(this.#owned(entry.token, entry.id, null))
    if (entry.error !== null) writes.push(this.#irrevocable(entry.id, null))
    return writes
  }

  #irrevocable(id: string, entry: true | null): KeeperWrite {
    const key = `${this.#options.prefix}${irrevocableCodec.prefix}${id}`
    return { key, codec: irrevocableCodec, entry, uncached: true }
  }

  #at(id: string): string {
    return `${this.#options.prefix}${leaseCodec.prefix}${id}`
  }

  #write(entry: LeaseEntry): KeeperWrite {
    return { key: this.#at(entry.id), codec: leaseCodec, entry }
  }

  #owned(token: TokenKey, id: string, present: true | null): KeeperWrite {
    const leaf = id.slice(id.lastIndexOf('/') + 1)
    const key = `${this.#options.prefix}${ownedCodec.prefix}${token}/${leaf}`
    return { key, codec: ownedCodec, entry: present === null ? null : { id }, uncached: true }
  }

  #lane(entry: Pick<LeaseEntry, 'mount'>): string {
    return `${leaseDue}.${entry.mount}`
  }

  #due(entry: Pick<LeaseEntry, 'id' | 'mount'>, at: Instant): Due {
    return { lane: this.#lane(entry), id: entry.id, at }
  }
}

/** May it be one? Its path was normal when it was made. */
const isLeaseId = (id: string): boolean => id.length > 0 && id.length < 1500 && !/(^|\/)(\.{0,2})(\/|$)/.test(id)
