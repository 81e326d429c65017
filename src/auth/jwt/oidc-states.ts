import { createHash } from 'node:crypto'
import type { World } from '#ground/base/world.ts'

/** A login of a person that is under way: what was asked, until the answer comes back. */
export type OidcState = {
  readonly role: string
  readonly redirectUri: string
  readonly nonce: string
  /** Of PKCE (RFC 7636); whoever catches the code can't use it without. */
  readonly verifier: string
  /** What the client will prove that it began this. */
  readonly clientNonce: string
  readonly endsAt: number
}

const lifeMs = 600_000
/** Anybody may begin one. */
const statesMax = 10_000

/** In memory: a login that a restart falls into is begun anew. */
export class OidcStates {
  readonly #world: Pick<World, 'clock' | 'entropy'>
  readonly #states = new Map<string, OidcState>()

  constructor(world: Pick<World, 'clock' | 'entropy'>) {
    this.#world = world
  }

  /** @returns null when too many are under way. */
  begin(ask: Pick<OidcState, 'role' | 'redirectUri' | 'clientNonce'>): { id: string; state: OidcState } | null {
    const { clock, entropy } = this.#world
    this.#sweep()
    if (this.#states.size >= statesMax) return null
    const id = `st_${entropy.base62(32)}`
    const state = {
      ...ask,
      nonce: `n_${entropy.base62(32)}`,
      verifier: entropy.base62(64),
      endsAt: clock.now() + lifeMs,
    }
    this.#states.set(id, state)
    return { id, state }
  }

  /** Once: whoever comes again, or too late, gets null. */
  take(id: string): OidcState | null {
    const state = this.#states.get(id)
    this.#states.delete(id)
    return state === undefined || state.endsAt <= this.#world.clock.now() ? null : state
  }

  // The oldest stand first.
  #sweep(): void {
    const now = this.#world.clock.now()
    for (const [id, { endsAt }] of this.#states) {
      if (endsAt > now) return
      this.#states.delete(id)
    }
  }
}

/** @source RFC 7636 section 4.2 */
export const challengeOf = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url')
