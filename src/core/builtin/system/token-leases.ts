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

/**
 * Every token that ends by itself and was made below a path; in pages, since there is no index of them: an incident's
 * tool, not a hot path.
 */
export async function* tokenLeasesBelow(tokens: Tokens, prefix: string): AsyncGenerator<TokenLease> {
  if (!prefix.startsWith('auth/') && !'auth/'.startsWith(prefix)) return
  let after: string | undefined
  for (;;) {
    const page = await tokens.accessors({ ...(after !== undefined && { after }), limit: pageSize })
    for (const accessor of page.keys) {
      const found = await tokens.byAccessor(accessor)
      if (found === null || found.entry.expiresAt === null) continue
      const lease = leaseOf(found.key, found.entry)
      if (lease.id.startsWith(prefix)) yield lease
    }
    if (!page.more) return
    after = page.keys.at(-1)
  }
}
