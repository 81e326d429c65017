import type { Instant, Seconds } from '#ground/base/clock.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { Json } from '#ground/text/json.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Codec } from '#backend/storage.ts'
import type { Counted } from './census.ts'

/** A secret that ends: what the server must know to renew and revoke it. The secret itself isn't kept. */
export type LeaseEntry = {
  /** `<path of the request>/<24 letters and digits>`. */
  readonly id: string
  /** Accessor of the mount whose engine made it. */
  readonly mount: string
  readonly secretType: string
  /** The engine's own. */
  readonly internal: Json
  /** It ends with this token; null for those of batch tokens without a parent. */
  readonly token: TokenKey | null
  /** The role that quotas count it under. */
  readonly role: string | null
  readonly issuedAt: Instant
  readonly expiresAt: Instant
  /** The end of the batch token that asked for it: no renewal passes it. Absent: none asked. */
  readonly until?: Instant
  readonly renewedAt: Instant | null
  /** Granted last. */
  readonly ttl: Seconds
  /** The engine's maximum from the time of issue on; 0 = none. */
  readonly maxTtl: Seconds
  readonly renewable: boolean
  /** Revocations that failed. */
  readonly attempts: number
  /** Not null: it ended and can't be revoked; why, at most 240 characters. */
  readonly error: string | null
}

/** Letters and digits in the last segment of an id. */
export const leafCharacters = 24

/** The path of the request that made a lease of this id; null for what has another form. */
export function madeAt(id: string): string | null {
  const slash = id.lastIndexOf('/')
  const leaf = id.slice(slash + 1)
  return slash > 0 && leaf.length === leafCharacters && /^[0-9A-Za-z]+$/.test(leaf) ? id.slice(0, slash) : null
}

/** How a revocation went: `failed` is tried again by itself, unless it is `irrevocable`. */
export type RevokeResult =
  | { readonly kind: 'revoked' }
  | { readonly kind: 'failed' | 'irrevocable'; readonly entry: LeaseEntry; readonly error: string }

export const leaseCodec: Codec<LeaseEntry> = { prefix: 'id/', encode: jsonBytes.encode, decode: jsonBytes.decode }
/**
 * `of/<token>/<last segment of the id>`: the leases that end with a token. A token named by hand may come again after
 * its end; its accessor doesn't, and says whose the lease is. Absent in what older versions wrote.
 */
export type OwnedEntry = { readonly id: string; readonly accessor?: string }
export const ownedCodec: Codec<OwnedEntry> = {
  prefix: 'of/',
  encode: jsonBytes.encode,
  decode: jsonBytes.decode,
}
/** `irrevocable/<id>`: those in sight of the operator, without reading all others. */
export const irrevocableCodec: Codec<true> = {
  prefix: 'irrevocable/',
  encode: () => new Uint8Array(0),
  decode: () => true,
}

export const countedLease = (id: string, role: string | null): Counted => ({
  kind: 'lease',
  key: id,
  path: id.slice(0, id.lastIndexOf('/')),
  role,
})
