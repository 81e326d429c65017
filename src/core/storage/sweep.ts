import type { Maybe } from '#ground/base/brand.ts'
import type { ListPage, Paging, StoreKey } from '#stores/store.ts'
import { partsFolder } from './parts.ts'

/** Some or all parts of one generation of a key. */
export type FoundParts = { readonly key: string; readonly generation: string; readonly parts: readonly StoreKey[] }

const pageSize = 128

/**
 * All parts below a folder of `parts/`, by the keys that they belong to: every leaf is the number of a part, its folder
 * the generation. Listed, since a scan would read the values; other work gets its turn between two pages.
 * @param folder ends in `/`.
 */
export async function* findParts(
  folder: string,
  list: (prefix: string, paging: Paging) => Maybe<ListPage>,
): AsyncGenerator<FoundParts> {
  let after: string | undefined
  for (;;) {
    const page = await list(folder, { ...(after !== undefined && { after }), limit: pageSize })
    await new Promise<void>(resolve => setImmediate(resolve))
    const parts = page.names.filter(name => !name.endsWith('/')).map(name => folder + name)
    const owner = ownerOf(folder)
    if (owner !== null && parts.length > 0) yield { ...owner, parts }
    for (const name of page.names) if (name.endsWith('/')) yield* findParts(folder + name, list)
    if (!page.more) return
    after = page.names.at(-1)
  }
}

function ownerOf(folder: string): { key: string; generation: string } | null {
  const path = folder.slice(partsFolder.length, -1)
  const slash = path.lastIndexOf('/')
  return slash < 1 ? null : { key: path.slice(0, slash), generation: path.slice(slash + 1) }
}
