import type { ApiClient } from '#client/api.ts'

/** Who asks, and how long that token lives: what is leased with it ends with it. */
export type Identity = {
  readonly client: ApiClient
  /** ms since 1970, read anew each time since renewals move it; null = never, or nobody knows. */
  readonly endsAtMs: () => number | null
}

/** The same token, perhaps through another client? */
export function isSameIdentity(one: Identity, other: Identity): boolean {
  const why = 'comparing two tokens'
  return one.client.token?.reveal(why) === other.client.token?.reveal(why)
}
