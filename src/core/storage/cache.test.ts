import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EntryCache } from './cache.ts'

/** What an entry of no bytes costs. */
const small = 200

test('cache: what is there, what is known to be absent, and what is not known', () => {
  const cache = new EntryCache(100_000)
  cache.set('a', { x: 1 }, 10)
  cache.set('none', null, 0)
  assert.deepEqual(cache.get('a')?.entry, { x: 1 })
  assert.equal(cache.get('none')?.entry, null)
  assert.equal(cache.get('b'), undefined)
})

test('cache: it holds no more than it may, and what is used stays', () => {
  const bytesMax = 100 * (small + 2 * 4)
  const cache = new EntryCache(bytesMax)
  const key = (at: number): string => String(at).padStart(4, '0')
  for (let at = 0; at < 1_000; at++) {
    cache.set(key(at), at, 0)
    assert.equal(cache.get(key(0))?.entry, 0)
  }
  const held = Array.from({ length: 1_000 }, (_, at) => at).filter(at => cache.get(key(at)) !== undefined)
  assert.ok(held.length <= 100, `${held.length} entries are held`)
  assert.ok(held.length >= 50)
  assert.deepEqual([held.includes(0), held.includes(999), held.includes(1)], [true, true, false])
})

test('cache: what would fill much of it is not kept, and what was under its key is gone', () => {
  const cache = new EntryCache(10_000)
  cache.set('a', 'small', 10)
  cache.set('a', 'large', 5_000)
  assert.equal(cache.get('a'), undefined)
})

test('cache: a replaced entry costs nothing any more', () => {
  const cache = new EntryCache(10_000)
  cache.set('stays', 'x', 0)
  for (let at = 0; at < 1_000; at++) cache.set('a', at, 100)
  assert.equal(cache.get('a')?.entry, 999)
  assert.equal(cache.get('stays')?.entry, 'x')
})

test('cache: forgetting one key, all below a prefix, or all, in both generations', () => {
  const cache = new EntryCache(24 * small)
  const keys = Array.from({ length: 14 }, (_, at) => `p/${at}`)
  const fill = (): void => {
    for (const key of keys) cache.set(key, key, 0)
    cache.set('q', 'q', 0)
  }
  fill()
  // A generation holds eleven: the first are in the old one, the last in the young one.
  cache.delete('p/1')
  cache.delete('p/12')
  assert.deepEqual(
    ['p/0', 'p/1', 'p/12', 'p/13'].map(key => cache.get(key)?.entry),
    ['p/0', undefined, undefined, 'p/13'],
  )
  fill()
  cache.deletePrefix('p/')
  assert.deepEqual(
    keys.filter(key => cache.get(key)),
    [],
  )
  assert.equal(cache.get('q')?.entry, 'q')
  fill()
  cache.clear()
  assert.deepEqual(
    [...keys, 'q'].filter(key => cache.get(key)),
    [],
  )
})
