import type { Clock } from '#ground/base/clock.ts'
import { type Identity, isSameIdentity } from './identity.ts'

type Lease = { readonly id: string; endsAtMs: number; readonly owner: Identity; readonly ttlMs: number }

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
    this.#current = { id, endsAtMs, owner, ttlMs }
  }

  /** Goes on with what was noted; `id` and `ttlMs` are those of the current one. */
  tookOver(id: string, ttlMs: number, { endsAtMs, before }: LeaseNote, owner: Identity): void {
    this.#current = { id, endsAtMs, owner, ttlMs }
    this.#previous = before === null ? null : { ...before, owner, ttlMs }
  }

  /** null where there is none. */
  note(identity: Identity): LeaseNote | null {
    if (this.#current === null) return null
    const isOrphaned = !this.isOwnedBy(identity)
    return {
      endsAtMs: isOrphaned ? this.endsAtMs : this.#current.endsAtMs,
      isOrphaned,
      before: this.superseded,
    }
  }

  renewed(endsAtMs: number): void {
    if (this.#current !== null) this.#current.endsAtMs = endsAtMs
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

  /** The one before, while it lives beside the current one: a third would be one too many. */
  get superseded(): { readonly id: string; readonly endsAtMs: number } | null {
    if (this.#previous === null || !this.isAlive || !this.#lives(this.#previous)) return null
    return { id: this.#previous.id, endsAtMs: endOf(this.#previous) }
  }

  /** The one before was revoked. */
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

function endOf({ endsAtMs, owner }: Lease): number {
  return Math.min(endsAtMs, owner.endsAtMs() ?? Number.POSITIVE_INFINITY)
}
