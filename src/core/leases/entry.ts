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
  /** It ends with this token; null for those of tokens that are kept nowhere. */
  readonly token: TokenKey | null
  /** The role that quotas count it under. */
  readonly role: string | null
  readonly issuedAt: Instant
  readonly expiresAt: Instant
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

/** How a revocation went: `failed` is tried again by itself, unless it is `irrevocable`. */
export type RevokeResult =
  | { readonly kind: 'revoked' }
  | { readonly kind: 'failed' | 'irrevocable'; readonly entry: LeaseEntry; readonly error: string }

export const leaseCodec: Codec<LeaseEntry> = { prefix: 'id/', encode: jsonBytes.encode, decode: jsonBytes.decode }
/** `of/<token>/<last segment of the id>`: the leases that end with a token. */
export const ownedCodec: Codec<{ readonly id: string }> = {
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
