import type { Clock } from '#ground/base/clock.ts'
import { type Identity, isSameIdentity } from './identity.ts'

type Lease = {
  readonly id: string
  endsAtMs: number
  /** It may work until then: a renewal without an answer can have been one. */
  latestEndMs: number
  readonly owner: Identity
  readonly ttlMs: number
}

/** `isSure`: it doesn't end earlier either. */
type Superseded = { readonly id: string; readonly endsAtMs: number; readonly isSure: boolean }

/** What is known of a source's leases, for an agent that goes on with them; instants in ms. */
export type LeaseNote = {
  /** The current one's end. */
  readonly endsAtMs: number
  /** It ends with a token that has a successor already. */
  readonly isOrphaned: boolean
  /** The one before, while it lives. */
  readonly before: { readonly id: string; readonly endsAtMs: number } | null
}

const longestMarginMs = 300_000

/**
 * The leases of one source that still live: the one whose secret is in use, and the one before it, which works on for a
 * while, so that a consumer can change over. There are never more than these two where it can be helped.
 */
export class LeaseBook {
  readonly #clock: Pick<Clock, 'now'>
  #current: Lease | null = null
  #previous: Lease | null = null

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** Another secret was made; the one before it is superseded. */
  took(id: string, ttlMs: number, endsAtMs: number, owner: Identity): void {
    if (this.#current !== null && this.#current.id !== id && this.#lives(this.#current)) this.#previous = this.#current
    this.#current = { id, endsAtMs, latestEndMs: endsAtMs, owner, ttlMs }
  }

  /** Goes on with what was noted; `id` and `ttlMs` are those of the current one. */
  tookOver(id: string, ttlMs: number, { endsAtMs, before }: LeaseNote, owner: Identity): void {
    this.#current = { id, endsAtMs, latestEndMs: endsAtMs, owner, ttlMs }
    this.#previous = before === null ? null : { ...before, latestEndMs: before.endsAtMs, owner, ttlMs }
  }

  /** null where there is none. */
  note(identity: Identity): LeaseNote | null {
    if (this.#current === null) return null
    const isOrphaned = !this.isOwnedBy(identity)
    return {
      endsAtMs: isOrphaned ? this.endsAtMs : this.#current.endsAtMs,
      isOrphaned,
      before: this.superseded && { id: this.superseded.id, endsAtMs: this.superseded.endsAtMs },
    }
  }

  renewed(endsAtMs: number): void {
    if (this.#current === null) return
    this.#current.endsAtMs = endsAtMs
    this.#current.latestEndMs = endsAtMs
  }

  /** A renewal got no answer: nobody knows whether it was one. */
  renewedPerhaps(): void {
    const lease = this.#current
    if (lease !== null) lease.latestEndMs = Math.max(lease.latestEndMs, this.#clock.now() + lease.ttlMs)
  }

  /** The server doesn't know the current one any more. */
  lost(): void {
    this.renewed(this.#clock.now())
  }

  /** The current one ends then: by itself, or with the token that made it; 0 when there is none. */
  get endsAtMs(): number {
    return this.#current === null ? 0 : endOf(this.#current)
  }

  /** The same, however long its token is renewed. */
  get grantEndsAtMs(): number {
    return this.#current?.endsAtMs ?? 0
  }

  get isAlive(): boolean {
    return this.#current !== null && this.#lives(this.#current)
  }

  /** Had there ever been one? */
  get isUsed(): boolean {
    return this.#current !== null
  }

  /** Part of the current one's time that a change-over must have, ms. */
  get marginMs(): number {
    return Math.min(longestMarginMs, (this.#current?.ttlMs ?? 0) / 10)
  }

  /** The one before, while it may live beside the current one: a third would be one too many. */
  get superseded(): Superseded | null {
    const old = this.#previous
    if (old === null || !this.isAlive) return null
    const endsAtMs = endOf({ endsAtMs: old.latestEndMs, owner: old.owner })
    if (endsAtMs <= this.#clock.now()) return null
    return { id: old.id, endsAtMs, isSure: old.latestEndMs === old.endsAtMs }
  }

  /** When the one before ends, at the latest. */
  supersededEnds(endsAtMs: number): void {
    if (this.#previous !== null) this.#previous = { ...this.#previous, endsAtMs, latestEndMs: endsAtMs }
  }

  /** The one before ended. */
  dropSuperseded(): void {
    this.#previous = null
  }

  isOwnedBy(identity: Identity): boolean {
    return this.#current !== null && isSameIdentity(this.#current.owner, identity)
  }

  #lives(lease: Lease): boolean {
    return endOf(lease) > this.#clock.now()
  }
}

function endOf({ endsAtMs, owner }: Pick<Lease, 'endsAtMs' | 'owner'>): number {
  return Math.min(endsAtMs, owner.endsAtMs() ?? Number.POSITIVE_INFINITY)
}
