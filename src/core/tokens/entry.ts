import type { Instant, Seconds } from '#ground/base/clock.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Login } from '#backend/login.ts'
import type { Codec } from '#backend/storage.ts'

/**
 * What a token is. That of a service token is kept by the HMAC of the token, never the token; that of a batch token is
 * in the token itself, sealed, and nowhere else.
 */
export type TokenEntry = {
  /** Absent: a service token. */
  readonly type?: 'batch'
  /** Empty for batch tokens: nothing could be found by it. */
  readonly accessor: string
  /** The token that made it; null for orphans. It lives only as long as that one. */
  readonly parent: TokenKey | null
  /**
   * Of the parent: one named by hand may come again after its end, and isn't it then. Absent for orphans, and in what
   * older versions wrote.
   */
  readonly parentAccessor?: string
  /** Its own policies, sorted. */
  readonly policies: readonly string[]
  /** Path of the request that made it. */
  readonly path: string
  readonly metadata: Readonly<Record<string, string>> | null
  readonly displayName: string
  /** Uses left; 0 = without limit, -1 = used up. */
  readonly numUses: number
  readonly createdAt: Instant
  /** The TTL granted at creation. */
  readonly creationTtl: Seconds
  /** null = never. */
  readonly expiresAt: Instant | null
  readonly renewedAt: Instant | null
  /** The TTL granted last: what a renewal without increment gives again. */
  readonly grantedTtl: Seconds
  readonly explicitMaxTtl: Seconds
  readonly period: Seconds
  readonly renewable: boolean
  readonly entityId: string
  readonly boundCidrs: readonly string[]
  /** Accessor of the mount that made it. */
  readonly mountAccessor: string
  /** The role of the login that quotas count it under. Absent: none. */
  readonly role?: string
  /** The token role that it was made by. Absent: none. */
  readonly tokenRole?: MadeByRole
  /** Secrets with leases hang on it: they end with it. Absent: none ever did. */
  readonly hasLeases?: true
  /** It wrote to its cubbyhole, which ends with it. Absent: it never did. */
  readonly hasCubbyhole?: true
  /** It is a wrapping token: an answer is kept under its key, and ends with it; `accessor` is of what is inside. */
  readonly wraps?: { readonly accessor: string }
  /** What the auth method wants back at a renewal; null for tokens that no login made. */
  readonly login: Pick<Login, 'alias' | 'metadata' | 'parameters' | 'internal'> | null
}

/** A renewal looks at the role as it is then; what the call asked for stays a bound beside it. Seconds, 0 = none. */
export type MadeByRole = { readonly name: string; readonly period: Seconds; readonly explicitMaxTtl: Seconds }

export const typeOf = (entry: Pick<TokenEntry, 'type'>): 'service' | 'batch' => entry.type ?? 'service'

export type AccessorEntry = { readonly token: TokenKey }

export const tokenCodec: Codec<TokenEntry> = { prefix: 'id/', encode: jsonBytes.encode, decode: jsonBytes.decode }
export const accessorCodec: Codec<AccessorEntry> = {
  prefix: 'accessor/',
  encode: jsonBytes.encode,
  decode: jsonBytes.decode,
}
/** `child/<parent>/<child>`: who dies with whom. */
export const childCodec: Codec<true> = { prefix: 'child/', encode: () => new Uint8Array(0), decode: () => true }
/** `dying/<token>`: a tree whose root is dead and whose rest is being removed; resumed after a restart. */
export const dyingCodec: Codec<true> = { prefix: 'dying/', encode: () => new Uint8Array(0), decode: () => true }
