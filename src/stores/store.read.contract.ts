import assert from 'node:assert/strict'
import { commitAll, keysOf, names, put, type Rule, text } from './store.lab.ts'

/** What reads promise. */
export function readRules(rule: Rule): void {
  rule('a missing key reads as null', async store => {
    assert.equal(await store.get('a'), null)
    assert.deepEqual(await store.list('', { limit: 10 }), { names: [], more: false })
    assert.deepEqual(await store.scan({ from: 'a', to: 'b' }, { limit: 10 }), { entries: [], more: false })
  })

  rule('a read sees every commit that has resolved', async (store, fence) => {
    for (let i = 0; i < 20; i++) {
      // A read before the commit, so that a read transaction of this tick may be open.
      await store.get('k')
      const committed = store.commit([put('k', `v${i}`)], fence)
      await store.get('k')
      await committed
      assert.deepEqual(await store.get('k'), text(`v${i}`))
    }
  })

  rule('a read sees a commit that resolves amid the reads of others', async (store, fence) => {
    const over = new AbortController()
    // A read at the end of each turn: what it opens is still open when the next turn brings the commit's answer.
    const others = (async () => {
      for (let i = 0; i < 100_000 && !over.signal.aborted; i++) {
        await store.get('k')
        await new Promise(resolve => setImmediate(resolve))
      }
    })()
    for (let i = 0; i < 100; i++) {
      await store.commit([put('k', `v${i}`)], fence)
      assert.deepEqual(await store.get('k'), text(`v${i}`))
    }
    over.abort()
    await others
  })

  rule('an empty value is not a missing one', async (store, fence) => {
    await store.commit([{ key: 'a', value: new Uint8Array(0) }], fence)
    const value = await store.get('a')
    assert.ok(value)
    assert.equal(value.length, 0)
  })

  rule('bytes are copied in and out', async (store, fence) => {
    const value = Buffer.from('before')
    const committed = store.commit([{ key: 'a', value }], fence)
    value.write('after!')
    await committed
    const read = await store.get('a')
    assert.deepEqual(read && new Uint8Array(read), text('before'))
    read?.fill(0)
    const again = await store.get('a')
    assert.deepEqual(again && new Uint8Array(again), text('before'))
  })

  rule('keys are ordered by their UTF-8 bytes', async (store, fence) => {
    // U+FF5E comes before U+1F511 in UTF-8, after it in UTF-16.
    const ordered = ['A', 'a', 'a b', 'a-', 'a.', 'a0', 'aa', 'b', 'z', '~', 'é', 'ü', '\uff5e', '\u{1f511}']
    await store.commit(
      ordered.toReversed().map(key => put(key)),
      fence,
    )
    assert.deepEqual(await keysOf(store, ' ', '\u{10ffff}'), ordered)
    assert.deepEqual(await keysOf(store, ' ', '\u{10ffff}', 1), ordered)
    assert.deepEqual(await names(store, ''), ordered)
  })

  rule('list shows one level, folders with a slash', async (store, fence) => {
    const keys = ['a', 'a-b', 'a/b', 'a/b/c', 'a/d/e', 'a/d/f', 'a0', 'ab/c', 'b/c/d/e']
    await store.commit(
      keys.map(key => put(key)),
      fence,
    )
    for (const pageSize of [1, 2, 3, 100]) {
      assert.deepEqual(await names(store, '', pageSize), ['a', 'a-b', 'a/', 'a0', 'ab/', 'b/'])
      assert.deepEqual(await names(store, 'a/', pageSize), ['b', 'b/', 'd/'])
      assert.deepEqual(await names(store, 'a/d/', pageSize), ['e', 'f'])
      assert.deepEqual(await names(store, 'b/', pageSize), ['c/'])
      assert.deepEqual(await names(store, 'c/', pageSize), [])
    }
  })

  rule('list goes on after a name that is gone or deeper than one level', async (store, fence) => {
    await store.commit([put('p/a/x'), put('p/a/y'), put('p/c'), put('p/e')], fence)
    assert.deepEqual((await store.list('p/', { after: 'b', limit: 9 })).names, ['c', 'e'])
    assert.deepEqual((await store.list('p/', { after: 'a', limit: 9 })).names, ['a/', 'c', 'e'])
    assert.deepEqual((await store.list('p/', { after: 'a/x', limit: 9 })).names, ['c', 'e'])
    assert.deepEqual((await store.list('p/', { after: 'e', limit: 9 })).names, [])
  })

  rule('list and scan say exactly when more follows', async (store, fence) => {
    await store.commit([put('p/a'), put('p/b'), put('p/c')], fence)
    for (const [limit, more] of [
      [1, true],
      [2, true],
      [3, false],
      [4, false],
    ] as const) {
      assert.equal((await store.list('p/', { limit })).more, more)
      assert.equal((await store.scan({ from: 'p/', to: 'p0' }, { limit })).more, more)
    }
  })

  rule('list passes over a large folder', async (store, fence) => {
    for (let i = 0; i < 5; i++) {
      await commitAll(
        store,
        fence,
        Array.from({ length: 100 }, (_, j) => put(`m/k${i}${String(j).padStart(2, '0')}`, '')),
      )
    }
    await store.commit([put('l'), put('n')], fence)
    assert.deepEqual(await names(store, ''), ['l', 'm/', 'n'])
    assert.equal((await names(store, 'm/', 7)).length, 500)
  })

  rule('scan is half-open and gives whole entries', async (store, fence) => {
    await store.commit([put('a'), put('b', 'two'), put('c'), put('d')], fence)
    const page = await store.scan({ from: 'b', to: 'd' }, { limit: 10 })
    assert.deepEqual(
      page.entries.map(({ key, value }) => ({ key, value: new Uint8Array(value) })),
      [put('b', 'two'), put('c')],
    )
    assert.deepEqual(await keysOf(store, 'd', 'b'), [])
    const before = await store.scan({ from: 'b', to: 'd' }, { after: 'a', limit: 10 })
    assert.deepEqual(
      before.entries.map(entry => entry.key),
      ['b', 'c'],
    )
  })

  rule('a page of large values ends early and says so', async (store, fence) => {
    const value = new Uint8Array(Math.min(store.limits.valueBytesMax, 256 * 1024)).fill(1)
    for (let i = 0; i < 20; i++) await store.commit([{ key: `k${String(i).padStart(2, '0')}`, value }], fence)
    const page = await store.scan({ from: 'k', to: 'l' }, { limit: 1_000 })
    const bytes = page.entries.reduce((sum, entry) => sum + entry.value.length, 0)
    assert.ok(bytes < 4 * 1024 * 1024 + value.length)
    assert.equal(page.more, page.entries.length < 20)
    assert.equal((await keysOf(store, 'k', 'l', 1_000)).length, 20)
  })
}
