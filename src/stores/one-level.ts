import { assertPaging, assertPrefix, keyAfterName, listStart, nameBelow } from './keys.ts'
import type { ListPage, Paging, StoreKey } from './store.ts'

/** At most `limit` keys from `from` (included) on, in order. */
export type KeysFrom = (from: StoreKey, limit: number) => readonly StoreKey[]

// A folder may hold a million keys: after this many of them the search jumps to its end.
const keysPerStep = 128

/** One level below `prefix`, for a store that can hand out keys in order. A large folder costs one step, not its size. */
export function listOneLevel(prefix: string, paging: Paging, keysFrom: KeysFrom): ListPage {
  assertPrefix(prefix)
  assertPaging(paging)
  const names: string[] = []
  let from = listStart(prefix, paging.after)
  // What lies below the folder that was named last, as far as this step goes.
  let folder: string | null = null
  for (;;) {
    const wanted = Math.min(keysPerStep, paging.limit + 1 - names.length)
    const keys = keysFrom(from, wanted)
    for (const key of keys) {
      if (!key.startsWith(prefix)) return { names, more: false }
      if (folder !== null && key.startsWith(folder)) continue
      if (names.length === paging.limit) return { names, more: true }
      const name = nameBelow(prefix, key)
      names.push(name)
      folder = name.endsWith('/') ? prefix + name : null
    }
    if (keys.length < wanted) return { names, more: false }
    from = keyAfterName(prefix, names.at(-1)!)
  }
}
