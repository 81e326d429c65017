import type { JsonObject } from '#ground/text/json.ts'
import { jsonEntries } from '#backend/storage.ts'
import type { StoredParameters } from '#backend/token-parameters.ts'

/** Whose tokens are taken, and what they give. */
export type JwtRole = {
  /** `oidc`: people, by the flow through their browser. */
  readonly type: 'jwt' | 'oidc'
  readonly audiences: readonly string[]
  /** Empty = any. */
  readonly subject: string
  /** Claim to what it must be: one of. A name that begins with a slash is a JSON pointer. */
  readonly claims: JsonObject | null
  readonly claimsType: 'string' | 'glob'
  /** Claim to the metadata that it becomes. */
  readonly mappings: Readonly<Record<string, string>> | null
  readonly userClaim: string
  readonly isUserClaimPointer: boolean
  /** Empty = no groups. */
  readonly groupsClaim: string
  readonly scopes: readonly string[]
  readonly redirectUris: readonly string[]
  /** Seconds; 0 = as usual, negative = none. */
  readonly expirationLeeway: number
  readonly notBeforeLeeway: number
  readonly clockSkewLeeway: number
  /** Seconds since the person last proved who it is; 0 = any. */
  readonly maxAge: number
  readonly isVerbose: boolean
  readonly stored: StoredParameters
}

export const roleEntries = jsonEntries<JwtRole>('role/')
