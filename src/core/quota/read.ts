import type { TokenKey } from '#backend/engine.ts'
import type { Counted } from '#core/leases/census.ts'
import { countedLease } from '#core/leases/entry.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { countedToken } from '#core/tokens/tree.ts'
import type { CountedPage } from './tally.ts'

/** Of a page, so that who waits for one doesn't wait long. */
const pageSize = 200

/**
 * What there is to count, a page at a time.
 * @param withRoles false: roles of leases aren't asked for, which spares reading their entries.
 */
export async function readCounted(
  { leases, tokens }: { readonly leases: Leases; readonly tokens: Tokens },
  kind: Counted['kind'],
  after: string | null,
  withRoles: boolean,
): Promise<CountedPage> {
  if (kind === 'token') {
    const page = await tokens.shelf.page(after as TokenKey | null, pageSize)
    return { counted: page.tokens.map(({ key, entry }) => countedToken(key, entry)), next: page.next }
  }
  const ids = await leases.below('', after ?? undefined, pageSize)
  const counted: Counted[] = []
  for (const id of ids) {
    if (!withRoles) counted.push(countedLease(id, null))
    else {
      const entry = await leases.get(id)
      if (entry !== null) counted.push(countedLease(id, entry.role))
    }
  }
  return { counted, next: ids.at(-1) ?? null }
}
