import { backoffMs } from '#ground/base/retry.ts'
import type { Seconds } from '#ground/base/clock.ts'
import type { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { canonicalJson } from '#ground/text/json.ts'
import { ApiError, isLeaseGone, isTokenGone } from '#client/api-error.ts'
import { lookupLease } from '#client/calls/leases.ts'
import { renewLease, revokeLease } from '#client/calls/token.ts'
import { keepAlive, type Lifetime } from '#client/lifetime.ts'
import type { KvMounts } from '#client/calls/kv-mounts.ts'
import { isAway, type ServerReturn } from '#client/server-return.ts'
import { wholeOf } from '#protocol/members.ts'
import { type Query, queryText } from '#delivery/functions/query.ts'
import { type Fetched, fetchOnce, NothingThere, readAgainAfter } from './fetch.ts'
import type { Identity } from './identity.ts'
import { LeaseBook, type LeaseNote } from './lease-book.ts'

/** Something fetched before, by an agent before this one; instants in ms. */
export type Primed = {
  readonly fetched: Fetched
  readonly fetchedAtMs: number
  readonly nextAtMs: number
  /** null for what has no lease, or one without end. */
  readonly lease: LeaseNote | null
}

export type DependencyOptions = {
  readonly query: Query
  /** Taken as if it had just been read. */
  readonly primed: Primed | null
  readonly world: World
  /** Who asks; read anew at each try, since tokens change. */
  readonly identity: () => Identity
  /** Sees to it that the identity lives until then, if that can be; may change it. Never throws. */
  readonly outlive: (untilMs: number, signal: AbortSignal) => Promise<void>
  readonly serverReturn: ServerReturn
  readonly mounts: KvMounts
  readonly staticInterval: Seconds
  /** Further tries after a failure before it counts as failed. */
  readonly retriesMax: number
  readonly onChange: () => void
  /** What `primed` says is another. */
  readonly onKept: () => void
  /** There is nothing at `path`; a notice may say when there is. */
  readonly onAbsent: () => void
  readonly onFailed: (error: unknown) => void
  /** The server doesn't know this token: waiting helps nobody. */
  readonly onTokenInvalid: (token: Secret | null) => void
}

const firstRetryMs = 250
const longestRetryMs = 60_000
/** While what is in use works no more. */
const longestRetryOfDeadMs = 10_000

/**
 * One thing that is read from a server and kept fresh: by its lease, by time, or because somebody says that it changed.
 * What was read stays while a later read fails.
 */
export class Dependency {
  readonly text: string
  readonly query: Query
  readonly #options: DependencyOptions
  readonly #abort = new AbortController()
  readonly #leases: LeaseBook
  #fetched: Fetched | null = null
  #absentAt: string | null = null
  #fetchedAtMs = 0
  #shape = ''
  #wake: AbortController | null = null
  #failures = 0
  #nextAtMs = 0
  readonly #done: Promise<void>

  constructor(options: DependencyOptions) {
    this.#options = options
    this.query = options.query
    this.text = queryText(options.query)
    this.#leases = new LeaseBook(options.world.clock)
    this.#done = this.#run()
  }

  /** null while nothing has come yet. */
  get fetched(): Fetched | null {
    return this.#fetched
  }

  /** The path that change notices name: of what was read, or of what was looked for and isn't there. */
  get path(): string | null {
    return this.#fetched?.fullPath ?? this.#absentAt
  }

  /** null without a lease. Notices name it when it is gone. */
  get leaseId(): string | null {
    return this.#fetched?.envelope.leaseId || null
  }

  /** When it is read again at the latest, ms. */
  get nextAtMs(): number {
    return this.#nextAtMs
  }

  get isLeased(): boolean {
    const fetched = this.#fetched ?? this.#options.primed?.fetched
    return (fetched?.envelope.leaseId ?? '') !== ''
  }

  /** It holds a lease that ends with this token. */
  isOwnedBy(identity: Identity): boolean {
    return this.#leases.isOwnedBy(identity)
  }

  /** Its last try failed. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  /** Asking again makes something new (a user, a certificate) instead of looking again at what is there. */
  get isMade(): boolean {
    return this.isLeased || this.query.kind === 'write'
  }

  /** What an agent after this one needs to go on. */
  get primed(): Primed | null {
    const fetched = this.#fetched
    if (fetched === null) return this.#options.primed
    const lease = this.#leases.note(this.#options.identity())
    return { fetched, fetchedAtMs: this.#fetchedAtMs, nextAtMs: this.#nextAtMs, lease }
  }

  /** Reads again now: it changed, or there is a new token. */
  poke(): void {
    this.#failures = 0
    this.#wake?.abort()
  }

  /** The server says that the lease in use is gone. */
  leaseEnded(): void {
    this.#leases.lost()
    this.poke()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    this.#wake?.abort()
    await this.#done
  }

  async #run(): Promise<void> {
    const { world, identity, mounts, primed } = this.#options
    if (primed !== null) await this.#goOn(primed)
    while (!this.#abort.signal.aborted) {
      await this.#makeRoom()
      // Made before the request: a poke while it runs must not be lost.
      const wake = this.#newWake()
      const owner = identity()
      try {
        const fetched = await fetchOnce(owner.client, this.query, mounts, this.#abort.signal)
        this.#failures = 0
        this.#fetchedAtMs = world.clock.now()
        this.#note(fetched, owner, this.#fetchedAtMs + fetched.envelope.leaseDuration * 1000)
        this.#take(fetched)
        const waitMs =
          readAgainAfter(fetched.envelope, this.#options.staticInterval, world.entropy, world.clock.now()) * 1000
        await this.#waitForNext(fetched, wake, world.clock.now() + waitMs)
      } catch (error) {
        if (this.#abort.signal.aborted) return
        await this.#afterFailure(error, owner, wake)
      }
    }
  }

  #note({ envelope }: Fetched, owner: Identity, endsAtMs: number): void {
    if (envelope.leaseId === '' || envelope.leaseDuration <= 0) return
    this.#leases.took(envelope.leaseId, envelope.leaseDuration * 1000, endsAtMs, owner)
  }

  /**
   * Before another lease is asked for. The one before the current must have ended, and the token must live longer than
   * the current one: else the new one would have to be replaced while both of them work.
   */
  async #makeRoom(): Promise<void> {
    const { world, outlive } = this.#options
    const { clock } = world
    for (let old = this.#leases.superseded; old !== null; old = this.#leases.superseded) {
      if (this.#abort.signal.aborted) return
      if (!old.isSure) {
        await this.#findEnd(old)
        continue
      }
      if (old.endsAtMs + this.#leases.marginMs / 10 >= this.#leases.endsAtMs) {
        await this.#giveBack(old.id)
        break
      }
      await sleep(world, old.endsAtMs - clock.now() + 1, this.#newWake())
    }
    if (!this.#leases.isAlive) return
    const { marginMs, endsAtMs, grantEndsAtMs } = this.#leases
    // What a token makes that ends with the current lease would be of no use: then only another login helps.
    const tokenEndsAtMs = this.#options.identity().endsAtMs() ?? Number.POSITIVE_INFINITY
    const patienceMs = endsAtMs - (tokenEndsAtMs > endsAtMs + marginMs / 2 ? marginMs / 2 : 0) - clock.now()
    const patience = new AbortController()
    using _ = clock.after(Math.max(0, patienceMs), () => patience.abort())
    await outlive(grantEndsAtMs + marginMs, AbortSignal.any([this.#abort.signal, patience.signal]))
  }

  /** Where the server doesn't tell, the latest that is possible counts. */
  async #findEnd({ id, endsAtMs }: { readonly id: string; readonly endsAtMs: number }): Promise<void> {
    const { world, identity } = this.#options
    try {
      const { data } = await lookupLease(identity().client, id, { signal: this.#abort.signal })
      const ttlSeconds = wholeOf(data, 'ttl')
      this.#leases.supersededEnds(ttlSeconds > 0 ? world.clock.now() + ttlSeconds * 1000 : endsAtMs)
    } catch (error) {
      this.#leases.supersededEnds(isLeaseGone(error) ? world.clock.now() : endsAtMs)
    }
  }

  // Its consumer changed over some time ago; a policy needn't allow this.
  async #giveBack(leaseId: string): Promise<void> {
    const { world, identity } = this.#options
    try {
      await revokeLease(identity().client, leaseId, { signal: this.#abort.signal })
      this.#leases.dropSuperseded()
      this.#options.onKept()
    } catch (error) {
      world.log.warn(`${this.text}: a lease that is no more in use stays until its end: ${messageOf(error)}`)
    }
  }

  #newWake(): AbortSignal {
    this.#wake = new AbortController()
    return AbortSignal.any([this.#wake.signal, this.#abort.signal])
  }

  async #goOn({ fetched, fetchedAtMs, nextAtMs, lease }: Primed): Promise<void> {
    const { world, identity } = this.#options
    const { leaseId, leaseDuration } = fetched.envelope
    const wake = this.#newWake()
    this.#fetchedAtMs = fetchedAtMs
    // Its owner doesn't know of it yet.
    await Promise.resolve()
    if (lease !== null && lease.endsAtMs <= world.clock.now()) return
    if (lease !== null) this.#leases.tookOver(leaseId, leaseDuration * 1000, lease, identity())
    this.#take(fetched)
    // Its successor was due already.
    if (lease?.isOrphaned === true) return
    await this.#waitForNext(fetched, wake, nextAtMs)
  }

  // After the last try it waits to be poked: by a new token, a change, or its owner's own patience. What works still is
  // no failure; a lease that works no more is tried for on and on.
  async #afterFailure(error: unknown, owner: Identity, wake: AbortSignal): Promise<void> {
    const { world, retriesMax, serverReturn, onAbsent, onFailed, onTokenInvalid } = this.#options
    if (!this.#leases.isAlive || this.#failures < retriesMax) this.#failures++
    if (error instanceof NothingThere && this.#absentAt !== error.path) {
      this.#absentAt = error.path
      onAbsent()
    }
    if (isTokenGone(error)) onTokenInvalid(owner.client.token)
    if (this.#failures === retriesMax + 1) {
      onFailed(new Error(`${this.text}: ${messageOf(error)} (exceeded maximum retries)`, { cause: error }))
    }
    if (this.#failures > retriesMax && !this.#leases.isUsed) {
      if (!wake.aborted) await new Promise(resolve => wake.addEventListener('abort', resolve, { once: true }))
      return
    }
    const isDead = this.#leases.isUsed && !this.#leases.isAlive
    // Of a server that is away it is told when it is back.
    const longestMs = isDead && !isAway(error) ? longestRetryOfDeadMs : longestRetryMs
    const doubledMs = backoffMs({ waitMs: firstRetryMs, waitMsMax: longestMs }, this.#failures)
    // One that is about to end is not slept over.
    const waitMs =
      isDead || !this.#leases.isUsed ? doubledMs : Math.min(doubledMs, this.#leases.endsAtMs - world.clock.now())
    world.log.warn(
      `${this.text}: ${messageOf(error)} (retry attempt ${this.#failures} after "${Math.round(waitMs)}ms")`,
    )
    await serverReturn.wait(waitMs, error, wake)
  }

  #take(fetched: Fetched): void {
    const shape = `${fetched.envelope.leaseId}\n${fetched.envelope.data === null ? '' : canonicalJson(fetched.envelope.data)}\n${fetched.keys.join('\n')}`
    const isNew = this.#fetched === null || shape !== this.#shape
    this.#shape = shape
    // The old envelope stays when nothing changed: what was derived from it stays valid.
    if (isNew) this.#fetched = fetched
    this.#options.onKept()
    if (isNew) this.#options.onChange()
  }

  async #renew(leaseId: string, increment: number, signal: AbortSignal): Promise<Lifetime> {
    const { client } = this.#options.identity()
    try {
      return await renewLease(client, leaseId, increment, { signal })
    } catch (error) {
      if (isTokenGone(error)) this.#options.onTokenInvalid(client.token)
      if (!isAnswer(error)) this.#leases.renewedPerhaps()
      throw error
    }
  }

  async #waitForNext({ envelope }: Fetched, wake: AbortSignal, nextAtMs: number): Promise<void> {
    const { world } = this.#options
    if (envelope.leaseId === '' || !envelope.renewable) {
      this.#nextAtMs = nextAtMs
      await sleep(world, Math.max(0, nextAtMs - world.clock.now()), wake)
      return
    }
    this.#nextAtMs = this.#leases.endsAtMs
    await keepAlive(world, {
      lifetime: { ttlSeconds: envelope.leaseDuration, isRenewable: true },
      grantedAtMs: this.#leases.grantEndsAtMs - envelope.leaseDuration * 1000,
      renew: (increment, signal) => this.#renew(envelope.leaseId, increment, signal),
      onRenewed: ({ ttlSeconds }) => {
        this.#leases.renewed(world.clock.now() + ttlSeconds * 1000)
        this.#nextAtMs = this.#leases.endsAtMs
        this.#options.onKept()
      },
      // A server that is away for a while, or a policy without renewal, is no reason for another lease.
      onRetry: (error, waitMs) => {
        world.log.warn(
          `${this.text}: the lease was not renewed: ${messageOf(error)} (again after "${Math.round(waitMs)}ms")`,
        )
      },
      isGone: error => {
        const isGone = isLeaseGone(error)
        if (isGone) this.#leases.lost()
        return isGone
      },
      signal: wake,
    })
  }
}

// The server's no is an answer; what is not may have been a renewal all the same.
const isAnswer = (error: unknown): boolean => error instanceof ApiError && error.status < 500

async function sleep(world: World, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await world.clock.sleep(ms, signal)
  } catch {
    // Woken.
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error)
