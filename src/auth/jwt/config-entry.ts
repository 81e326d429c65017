import { jsonEntries } from '#backend/storage.ts'

export type KeySetPlace = {
  readonly url: string
  /** PEM; empty = the CAs of the system. */
  readonly ca: string
}

/** Who signs the tokens. Exactly one of `publicKeys`, `keySets` and `discovery` says where the keys are. */
export type JwtConfig = {
  /** PEM. */
  readonly publicKeys: readonly string[]
  readonly keySets: readonly KeySetPlace[]
  /** The sets were given as `jwks_pairs`. */
  readonly isPaired: boolean
  /** `url` is that of the issuer. */
  readonly discovery: KeySetPlace | null
  /** Empty = any. */
  readonly boundIssuer: string
  /** Empty = all that can be verified; for people RS256 alone. */
  readonly algorithms: readonly string[]
  /** Empty = none. */
  readonly defaultRole: string
  /** Empty = no login of people. */
  readonly clientId: string
  /** Never shown. */
  readonly clientSecret: string
  readonly responseTypes: readonly string[]
  readonly responseMode: string
  readonly namesNamespace: boolean
}

export const configEntries = jsonEntries<JwtConfig>('config/')
export const configKey = configEntries.key('config')
