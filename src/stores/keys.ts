import { assert } from '#ground/base/assert.ts'
import { compareUtf8 } from '#ground/text/compare.ts'
import type { KeyRange, Paging, StoreKey } from './store.ts'

/** The longest key, in bytes of UTF-8. */
export const keyBytesMax = 2_048

/** The most that one page of `list` or `scan` may ask for. */
export const pageLimitMax = 1_000

/** A page of `scan` ends early, with `more`, once it holds this many bytes: 1,000 values of 256 KiB fit no memory. */
export const pageBytesMax = 4 * 1024 * 1024

/** @throws AssertionError for a key that no layer above may make: empty, with NUL, or with half a surrogate pair. */
export function assertKey(key: StoreKey): void {
  assert(key.length > 0 && !key.includes('\0') && key.isWellFormed(), 'a storage key is well-formed text without NUL')
}

/** @throws AssertionError */
export function assertPaging(paging: Paging): void {
  assert(
    Number.isInteger(paging.limit) && paging.limit >= 1 && paging.limit <= pageLimitMax,
    `a page has 1 to ${pageLimitMax} entries`,
  )
}

/** @throws AssertionError a prefix is empty or ends in `/`. */
export function assertPrefix(prefix: string): void {
  assert(prefix === '' || prefix.endsWith('/'), 'a prefix is empty or ends in /')
}

/** The first possible key after `key`: no key has a NUL. */
export function keyAfter(key: StoreKey): StoreKey {
  return `${key}\0`
}

/** What lies below a folder, as a range. @param folder ends in `/`. */
export function rangeBelow(folder: string): KeyRange {
  assert(folder.endsWith('/'), 'a folder ends in /')
  return { from: folder, to: endOfFolder(folder) }
}

// `0` is the character after `/`.
function endOfFolder(folder: string): StoreKey {
  return `${folder.slice(0, -1)}0`
}

/** Where `scan` begins: behind `after`, unless that lies before the range. */
export function scanStart(range: KeyRange, paging: Paging): StoreKey {
  if (paging.after === undefined) return range.from
  const start = keyAfter(paging.after)
  return compareUtf8(start, range.from) > 0 ? start : range.from
}

/** Where `list` begins. `after` needn't be a name that exists, nor one name: `a/b` stands behind the folder `a/`. */
export function listStart(prefix: string, after: string | undefined): StoreKey {
  if (after === undefined) return prefix
  const slash = after.indexOf('/')
  return prefix + (slash < 0 ? keyAfter(after) : endOfFolder(after.slice(0, slash + 1)))
}

/** The name one level below `prefix` under which `key` is listed: a leaf, or a folder with its `/`. */
export function nameBelow(prefix: string, key: StoreKey): string {
  const slash = key.indexOf('/', prefix.length)
  return slash < 0 ? key.slice(prefix.length) : key.slice(prefix.length, slash + 1)
}

/** The first possible key that isn't listed under `name`. */
export function keyAfterName(prefix: string, name: string): StoreKey {
  return prefix + (name.endsWith('/') ? endOfFolder(name) : keyAfter(name))
}
