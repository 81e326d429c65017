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
import type { Census, Counted } from './census.ts'
import type { DueIndex } from './due-index.ts'
import type { Due } from './due-lane.ts'
import type { EffectRoom } from './effects.ts'
import type { LeaseMeters } from './meters.ts'
import { countedLease, leafCharacters, type LeaseEntry, type RevokeResult } from './entry.ts'
import { leaseDue, LeaseShelf } from './shelf.ts'
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
  /** Something durable happened to a lease; `revoke`: it is gone, for whatever reason. */
  onChange: (what: LeaseChange, lease: LeaseEntry) => void
  meters: LeaseMeters
  /** One more can't be revoked, or one less. */
  onIrrevocable: (by: 1 | -1) => void
}

export type LeaseChange = 'issue' | 'renew' | 'revoke' | 'irrevocable'

/** Who a lease belongs to. */
export type LeaseOwner = {
  /** The service token that it ends with: the one that asked, or the parent of a batch token. null: no such parent. */
  readonly token: { readonly key: TokenKey; readonly accessor: string } | null
  /** The end of a batch token, which the lease can't outlive; null for service tokens. */
  readonly until: Instant | null
}

export type LeaseAsk = {
  readonly path: string
  readonly mount: Mount
  readonly secret: Extract<Outcome, { kind: 'lease' }>
  readonly owner: LeaseOwner
  readonly role: string | null
}

export type LeaseGranted = { readonly entry: LeaseEntry; readonly warnings: readonly string[] }

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
  readonly #shelf: LeaseShelf
  #tidying = false

  constructor(options: LeasesOptions) {
    this.#options = options
    this.#shelf = new LeaseShelf(options.keeper, options.due, options.prefix)
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
    const { token, until } = owner
    const expiresAt = this.#end(grant.ttl, until)
    const leaf = world.entropy.base62(leafCharacters)
    const entry: LeaseEntry = {
      id: `${path}/${leaf}`,
      mount: mount.entry.accessor,
      secretType: secret.secretType,
      internal: secret.internal,
      token: token?.key ?? null,
      role,
      issuedAt: now,
      expiresAt,
      ...(until !== null && { until }),
      renewedAt: null,
      ttl: secondsUntil(expiresAt, now),
      maxTtl: secret.maxTtl,
      renewable: secret.renewable && kind.renew !== undefined,
      attempts: 0,
      error: null,
    }
    const settled = secret.settles === undefined ? {} : { settles: secret.settles }
    const log = effects.of(entry.mount)
    const writes = [...this.#shelf.writes(entry), ...log.writes(settled)]
    const isMade = await census.during(this.#counted(entry), 1, () =>
      token === null
        ? keeper.commit(writes).then(() => true)
        : attach(token.key, [
            ...writes,
            this.#shelf.ownedWrite(token.key, entry.id, { id: entry.id, accessor: token.accessor }),
          ]),
    )
    if (!isMade) {
      throw fault('token.invalid', 'permission denied', { reason: 'the token ended while the secret was made' })
    }
    log.written(settled)
    due.expect(this.#shelf.due(entry, entry.expiresAt).lane, entry.expiresAt)
    this.#options.onChange('issue', entry)
    return { entry, warnings: grant.warnings }
  }

  /** @returns the lease, also when it is past its end and not yet revoked. */
  get(id: string): Promise<LeaseEntry | null> {
    return this.#shelf.get(id)
  }

  /** As `get`, for who wants to see how long it lives. */
  times(id: string): Promise<LeaseEntry | null> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.fetchTimes, () => this.get(id))
  }

  /** One level of ids below a prefix that ends in `/` or is empty; folders end in `/`. */
  list(prefix: string, paging: { after?: string; limit: number }) {
    return this.#shelf.list(prefix, paging)
  }

  /** Ids in order, all below a prefix that ends in `/`. */
  below(prefix: string, after: string | undefined, limit: number): Promise<readonly string[]> {
    return this.#shelf.below(prefix, after, limit)
  }

  /** Leases that ended and can't be revoked, by id. */
  irrevocable(after: string | undefined, limit: number): Promise<readonly string[]> {
    return this.#shelf.irrevocable(after, limit)
  }

  /** @throws Fault with Vault's texts. */
  renew(id: string, increment: Seconds, signal: AbortSignal): Promise<LeaseGranted> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.renew, () => this.#renew(id, increment, signal))
  }

  async #renew(id: string, increment: Seconds, signal: AbortSignal): Promise<LeaseGranted> {
    const { world, mountOf } = this.#options
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
    const expiresAt = this.#end(grant.ttl, entry.until ?? null)
    const ttl = secondsUntil(expiresAt, now)
    const next = await this.#shelf.update<LeaseEntry | null>(id, kept => {
      // Revoked while the engine was asked.
      if (kept === null || kept.expiresAt <= now) return { result: null }
      const renewed: LeaseEntry = { ...kept, expiresAt, ttl, renewedAt: now }
      const isEarlier = expiresAt < kept.expiresAt
      return {
        entry: renewed,
        ...(isEarlier && { also: [this.#options.due.entry(this.#shelf.due(kept, expiresAt))] }),
        result: renewed,
      }
    })
    if (next === null) throw fault('request.invalid', 'lease not found')
    this.#options.due.expect(this.#shelf.due(next, expiresAt).lane, expiresAt)
    this.#options.onChange('renew', next)
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
    const { world, due } = this.#options
    const at = world.clock.now()
    const ended = await this.#shelf.update<LeaseEntry | null>(id, entry => {
      if (entry === null || entry.expiresAt <= at) return { result: entry }
      const next = { ...entry, expiresAt: at }
      return { entry: next, also: [due.entry(this.#shelf.due(entry, at))], result: next }
    })
    if (ended !== null) due.expect(this.#shelf.due(ended, at).lane, at)
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
  ending(token: TokenKey, accessor: string): readonly KeeperWrite[] {
    return [
      this.#options.due.entry({ lane: endedDue, id: `${token}/${accessor}`, at: this.#options.world.clock.now() }),
    ]
  }

  tokenEnded(): void {
    this.#options.due.expect(endedDue, this.#options.world.clock.now())
  }

  #onEnded({ id }: Due): Promise<readonly KeeperWrite[]> {
    const { world, meters } = this.#options
    return timed(world.clock, meters.revokeByToken, () => this.#expireOf(id))
  }

  async #expireOf(id: string): Promise<readonly KeeperWrite[]> {
    const [token = '', accessor] = id.split('/')
    for (let after: string | undefined; ; ) {
      const page = await this.#shelf.owned(token, after, pageSize)
      for (const owned of page.entries) if ((owned.accessor ?? accessor) === accessor) await this.expire(owned.id)
      if (page.next === undefined) return []
      after = page.next
    }
  }

  async #onDue(due: Due, signal: AbortSignal): Promise<readonly KeeperWrite[] | 'removed'> {
    const entry = await this.get(due.id)
    if (entry === null) return []
    // Renewed since: it is due again at its new end.
    if (entry.expiresAt > this.#options.world.clock.now() && entry.error === null) {
      this.#options.due.expect(due.lane, entry.expiresAt)
      return [this.#options.due.entry(this.#shelf.due(entry, entry.expiresAt))]
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
    const { world, due } = this.#options
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
    const also = [due.entry(this.#shelf.due(next, retryAt))]
    if (fallen !== undefined) also.push(due.remove(fallen))
    if (isIrrevocable) also.push(this.#shelf.irrevocableWrite(entry.id, true))
    const before = await this.#shelf.update<LeaseEntry | null>(entry.id, now =>
      now === null ? { result: null } : { entry: next, also, result: now },
    )
    // Another attempt did it meanwhile.
    if (before === null) return { kind: 'revoked' }
    if (isIrrevocable && before.error === null) this.#options.onIrrevocable(1)
    due.expect(this.#shelf.due(entry, retryAt).lane, retryAt)
    if (isIrrevocable && entry.error === null) this.#options.onChange('irrevocable', next)
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

  #end(ttl: Seconds, until: Instant | null): Instant {
    return instant(Math.min(this.#options.world.clock.now() + ttl * 1000, until ?? Number.POSITIVE_INFINITY))
  }

  #held(entry: LeaseEntry, increment: Seconds, signal: AbortSignal) {
    const { secretType, internal, issuedAt, expiresAt } = entry
    return { leaseId: entry.id, secretType, internal: internal as Json, issuedAt, expiresAt, increment, signal }
  }

  /** One of several that try at once does it. */
  async #remove(lease: LeaseEntry, due?: Due): Promise<void> {
    const { census, onIrrevocable, onChange } = this.#options
    let last = null as LeaseEntry | null
    const isMine = await census.during(this.#counted(lease), -1, () =>
      this.#shelf.update<boolean>(lease.id, now => {
        last = now
        return last === null ? { result: false } : { entry: null, also: this.#shelf.traces(last, due), result: true }
      }),
    )
    if (!isMine) return
    if (last?.error != null) onIrrevocable(-1)
    onChange('revoke', lease)
  }

  #counted(entry: LeaseEntry): Counted {
    return { ...countedLease(entry.id, entry.role), due: this.#shelf.due(entry, entry.expiresAt) }
  }
}

const secondsUntil = (at: Instant, now: Instant): Seconds => seconds(Math.max(0, Math.floor((at - now) / 1000)))
