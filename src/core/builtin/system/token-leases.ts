import type { TokenKey } from '#backend/engine.ts'
import type { TokenEntry } from '#core/tokens/entry.ts'
import type { Tokens } from '#core/tokens/tokens.ts'

const pageSize = 200
const idPattern = /^(.+)\/h([0-9a-f]{32})$/

/** A token as a lease: tokens keep no lease of their own, so theirs is read off them. */
export type TokenLease = { readonly id: string; readonly key: TokenKey; readonly entry: TokenEntry }

/** `<path of the request that made it>/h<its key>`. @source server-core 5: the token's lease id, which clients don't take apart */
const leaseOf = (key: TokenKey, entry: TokenEntry): TokenLease => ({ id: `${entry.path}/h${key}`, key, entry })

/** Whether it looks like the lease of a token, there or not. */
export const isTokenLeaseId = (id: string): boolean => id.startsWith('auth/') && idPattern.test(id)

export async function findTokenLease(tokens: Tokens, id: string): Promise<TokenLease | null> {
  const match = idPattern.exec(id)
  if (match === null) return null
  const key = match[2] as TokenKey
  const entry = await tokens.entry(key)
  const isIt = entry !== null && entry.expiresAt !== null && entry.path === match[1] && tokens.isAlive(entry)
  return isIt ? leaseOf(key, entry) : null
}

/** Do any tokens lie below it? They are made by auth methods. */
export const mayHoldTokens = (prefix: string): boolean => prefix.startsWith('auth/') || 'auth/'.startsWith(prefix)

/**
 * Tokens that end by themselves and were made below a path, a page at a time; there is no index of them by path: an
 * incident's tool, not a hot path. `next` null: no more.
 */
export async function tokenLeasePage(
  tokens: Tokens,
  prefix: string,
  after: TokenKey | null,
): Promise<{ readonly leases: readonly TokenLease[]; readonly next: TokenKey | null }> {
  if (!mayHoldTokens(prefix)) return { leases: [], next: null }
  const page = await tokens.shelf.page(after, pageSize)
  // Other requests have their turn, also where nothing had to be waited for.
  await new Promise<void>(resolve => setImmediate(resolve))
  const leases = page.tokens
    .filter(({ entry }) => entry.expiresAt !== null && tokens.isAlive(entry))
    .map(({ key, entry }) => leaseOf(key, entry))
    .filter(({ id }) => id.startsWith(prefix))
  return { leases, next: page.next }
}

/** All of them. */
export async function* tokenLeasesBelow(tokens: Tokens, prefix: string): AsyncGenerator<TokenLease> {
  for (let after: TokenKey | null = null; ; ) {
    const page: Awaited<ReturnType<typeof tokenLeasePage>> = await tokenLeasePage(tokens, prefix, after)
    yield* page.leases
    if (page.next === null) return
    after = page.next
  }
}
