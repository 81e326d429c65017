import type { Maybe } from '#ground/base/brand.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { Codec } from '#backend/storage.ts'
import type { StoredParameters } from '#backend/token-parameters.ts'
import type { Keeper } from '#core/storage/keeper.ts'

/** What tokens made under a name may be, whatever the policies of who makes them. */
export type TokenRole = {
  readonly name: string
  /** Lower case, as all policies. */
  readonly allowedPolicies: readonly string[]
  readonly allowedPoliciesGlob: readonly string[]
  readonly disallowedPolicies: readonly string[]
  readonly disallowedPoliciesGlob: readonly string[]
  readonly orphan: boolean
  readonly renewable: boolean
  /** Ends the path that its tokens are revoked by; empty: none. */
  readonly pathSuffix: string
  /** Names and globs, lower case. */
  readonly allowedEntityAliases: readonly string[]
  /** Of these, TTLs and policies say nothing here. */
  readonly token: StoredParameters
}

const roleCodec: Codec<TokenRole> = { prefix: 'role/', encode: jsonBytes.encode, decode: jsonBytes.decode }

/** Token roles, by name. */
export class TokenRoles {
  readonly #keeper: Keeper
  readonly #prefix: string

  /** @param prefix ending in `/`: `root/token/`. */
  constructor(keeper: Keeper, prefix: string) {
    this.#keeper = keeper
    this.#prefix = prefix + roleCodec.prefix
  }

  get(name: string): Maybe<TokenRole | null> {
    return this.#keeper.get(this.#prefix + name, roleCodec) as Maybe<TokenRole | null>
  }

  /** @param change gets the role as it is, null for a new one; what it throws comes out. */
  update(name: string, change: (now: TokenRole | null) => TokenRole): Promise<TokenRole> {
    return this.#keeper.update<TokenRole>(this.#prefix + name, roleCodec, now => {
      const entry = change(now as TokenRole | null)
      return { entry, result: entry }
    })
  }

  remove(name: string): Promise<void> {
    return this.#keeper.commit([{ key: this.#prefix + name, codec: roleCodec, entry: null }])
  }

  /** In order, paged. */
  list(paging: {
    after?: string
    limit: number
  }): Maybe<{ readonly names: readonly string[]; readonly more: boolean }> {
    return this.#keeper.list(this.#prefix, paging)
  }
}
