import type { Seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'

/** Who logged in, within a mount: the pair (mount accessor, name) finds the entity. */
export type Alias = { readonly name: string; readonly metadata: Readonly<Record<string, string>> }

/** `default`: what the mount says (service unless tuned otherwise). */
export type TokenType = 'default' | 'service' | 'batch' | 'default-service' | 'default-batch'

/**
 * What every role-like object says of the tokens it gives (`token_*`).
 * @source openbao sdk/helper/tokenutil
 */
export type TokenParameters = {
  /** Lower case, sorted, without doubles. */
  readonly policies: readonly string[]
  /** 0 = the mount's default. */
  readonly ttl: Seconds
  /** 0 = the mount's maximum. */
  readonly maxTtl: Seconds
  readonly explicitMaxTtl: Seconds
  readonly period: Seconds
  readonly numUses: number
  readonly noDefaultPolicy: boolean
  readonly boundCidrs: readonly string[]
  readonly type: TokenType
}

/** What an auth method found out; core makes entity, token, lease and answer of it, in one commit. */
export type Login = {
  /** null only for methods without identity. */
  readonly alias: Alias | null
  /** Groups of the outside that the alias is in, by name; refreshed at each login and renewal. */
  readonly groupAliases?: readonly Alias[]
  /** Follows the mount's path in the token's display name: `kubernetes-` + this. */
  readonly displayName: string
  readonly metadata: Readonly<Record<string, string>>
  readonly parameters: TokenParameters
  readonly renewable: boolean
  /** Comes back to `renewLogin`; kept behind the barrier. */
  readonly internal: Json
}

/** A token asked for by name: what `auth/token/create` was told, checked by its handler. */
export type NewToken = {
  readonly type: 'service' | 'batch'
  readonly id: string | null
  readonly policies: readonly string[]
  readonly metadata: Readonly<Record<string, string>> | null
  readonly displayName: string
  readonly path: string
  readonly isOrphan: boolean
  readonly renewable: boolean
  readonly ttl: Seconds
  readonly explicitMaxTtl: Seconds
  readonly period: Seconds
  readonly numUses: number
  readonly boundCidrs: readonly string[]
  /** The token role that it is made by, and what the call itself said of period and explicit maximum. */
  readonly role: { readonly name: string; readonly period: Seconds; readonly explicitMaxTtl: Seconds } | null
  /** On the mount of tokens: its entity is the token's. */
  readonly alias: Alias | null
}
