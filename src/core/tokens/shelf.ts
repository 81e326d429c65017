import type { Maybe } from '#ground/base/brand.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Keeper, KeeperChange, KeeperWrite } from '#core/storage/keeper.ts'
import { rangeBelow } from '#stores/keys.ts'
import { type WrappedAnswer, wrappedCodec } from './wrapped.ts'
import { type AccessorEntry, accessorCodec, childCodec, dyingCodec, type TokenEntry, tokenCodec } from './entry.ts'

export type TokenPage = {
  readonly tokens: readonly { readonly key: TokenKey; readonly entry: TokenEntry }[]
  readonly next: TokenKey | null
}

type Page = { readonly names: readonly string[]; readonly more: boolean }

/** Where service tokens lie in the store, and what lies beside them: accessors, who is whose child, what is dying. */
export class TokenShelf {
  readonly #keeper: Keeper
  readonly #prefix: string

  /** @param prefix ending in `/`: `root/token/`. */
  constructor(keeper: Keeper, prefix: string) {
    this.#keeper = keeper
    this.#prefix = prefix
  }

  entry(key: TokenKey): Maybe<TokenEntry | null> {
    return this.#keeper.get(this.#at(key), tokenCodec) as Maybe<TokenEntry | null>
  }

  /** What is in memory: undefined when not known. */
  peek(key: TokenKey): TokenEntry | null | undefined {
    return this.#keeper.peek(this.#at(key)) as TokenEntry | null | undefined
  }

  update<R>(key: TokenKey, change: (now: TokenEntry | null) => KeeperChange<R>): Promise<R> {
    return this.#keeper.update(this.#at(key), tokenCodec, now => change(now as TokenEntry | null))
  }

  async byAccessor(accessor: string): Promise<AccessorEntry | null> {
    return (await this.#keeper.get(this.#accessorAt(accessor), accessorCodec)) as AccessorEntry | null
  }

  /** Tokens in the order of their keys. `next` null: no more. */
  async page(after: TokenKey | null, limit: number): Promise<TokenPage> {
    const { keys, next } = await this.keys(after, limit)
    const tokens: { key: TokenKey; entry: TokenEntry }[] = []
    for (const key of keys) {
      const entry = await this.entry(key)
      if (entry !== null) tokens.push({ key, entry })
    }
    return { tokens, next }
  }

  async keys(after: TokenKey | null, limit: number): Promise<{ keys: readonly TokenKey[]; next: TokenKey | null }> {
    const folder = this.#prefix + tokenCodec.prefix
    const paging = { ...(after !== null && { after: folder + after }), limit }
    const { keys, more } = await this.#keeper.scanKeys(rangeBelow(folder), paging)
    const found = keys.map(at => at.slice(folder.length) as TokenKey)
    return { keys: found, next: more ? found.at(-1)! : null }
  }

  /** Accessors in order, paged. */
  accessors(paging: { after?: string; limit: number }): Maybe<Page> {
    return this.#keeper.list(this.#prefix + accessorCodec.prefix, paging)
  }

  /** Tokens that have, or had, children. */
  async parents(after: string | undefined, limit: number): Promise<readonly TokenKey[]> {
    const paging = { ...(after !== undefined && { after: `${after}/` }), limit }
    const page = await this.#keeper.list(this.#prefix + childCodec.prefix, paging)
    return page.names.map(name => name.replace(/\/$/, '') as TokenKey)
  }

  async children(parent: TokenKey, limit: number, after?: TokenKey): Promise<readonly TokenKey[]> {
    const paging = { ...(after !== undefined && { after }), limit }
    const page = await this.#keeper.list(`${this.#prefix}${childCodec.prefix}${parent}/`, paging)
    return page.names as readonly TokenKey[]
  }

  async dying(limit: number): Promise<readonly TokenKey[]> {
    const page = await this.#keeper.list(this.#prefix + dyingCodec.prefix, { limit })
    return page.names as readonly TokenKey[]
  }

  write(key: TokenKey, entry: TokenEntry): KeeperWrite {
    return { key: this.#at(key), codec: tokenCodec, entry }
  }

  accessorWrite(accessor: string, token: TokenKey | null): KeeperWrite {
    return { key: this.#accessorAt(accessor), codec: accessorCodec, entry: token === null ? null : { token } }
  }

  childWrite(parent: TokenKey, child: TokenKey, entry: true | null): KeeperWrite {
    const key = `${this.#prefix}${childCodec.prefix}${parent}/${child}`
    return { key, codec: childCodec, entry, uncached: true }
  }

  dyingWrite(key: TokenKey, entry: true | null): KeeperWrite {
    const at = `${this.#prefix}${dyingCodec.prefix}${key}`
    return { key: at, codec: dyingCodec, entry, uncached: true }
  }

  /** What lies under a wrapping token. */
  wrapped(key: TokenKey): Maybe<WrappedAnswer | null> {
    return this.#keeper.get(this.#wrappedAt(key), wrappedCodec) as Maybe<WrappedAnswer | null>
  }

  wrappedWrite(key: TokenKey, answer: WrappedAnswer | null): KeeperWrite {
    return { key: this.#wrappedAt(key), codec: wrappedCodec, entry: answer }
  }

  #wrappedAt(key: TokenKey): string {
    return `${this.#prefix}${wrappedCodec.prefix}${key}`
  }

  #at(key: TokenKey): string {
    return `${this.#prefix}${tokenCodec.prefix}${key}`
  }

  #accessorAt(accessor: string): string {
    return `${this.#prefix}${accessorCodec.prefix}${accessor}`
  }
}
