import { int, text } from '#ground/fields/kit.ts'
import type { Reply } from './reply.ts'
import type { Codec, View } from './storage.ts'

/** What every list takes. */
export const pagingFields = {
  after: text({ description: 'List after this name.', from: 'query' }),
  limit: int({ description: 'List at most so many; 0 = all.', from: 'query' }),
} as const

const namesMax = 100_000
const pageMax = 1_000

/** The names of one level below `codec.prefix + folder`, as asked for by `pagingFields`; read in pages. */
export async function listNames(
  view: Pick<View, 'list'>,
  codec: Codec<unknown>,
  folder: string,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<Reply> {
  const keys: string[] = []
  const most = limit > 0 ? Math.min(limit, namesMax) : namesMax
  let last = after === '' ? undefined : after
  for (;;) {
    const page = await view.list(codec, folder, {
      ...(last !== undefined && { after: last }),
      limit: Math.min(pageMax, most - keys.length),
    })
    keys.push(...page.keys)
    if (!page.more || keys.length >= most) return { kind: 'list', keys }
    last = page.keys.at(-1)
  }
}
