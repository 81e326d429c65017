import type { Maybe } from '#ground/base/brand.ts'

type Read = (paging: {
  after?: string
  limit: number
}) => Maybe<{ readonly names: readonly string[]; readonly more: boolean }>

const namesMax = 100_000
const pageSize = 1_000

/** Names in one answer, read in pages. @param ask `limit` 0: all, up to 100,000 */
export async function pagesOf(read: Read, ask: { after: string; limit: number }): Promise<readonly string[]> {
  const names: string[] = []
  const max = ask.limit > 0 ? Math.min(ask.limit, namesMax) : namesMax
  for (;;) {
    const after = names.at(-1) ?? (ask.after === '' ? undefined : ask.after)
    const limit = Math.min(pageSize, max - names.length)
    const page = await read({ ...(after !== undefined && { after }), limit })
    names.push(...page.names)
    if (!page.more || names.length >= max) return names
  }
}
