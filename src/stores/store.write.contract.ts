import assert from 'node:assert/strict'
import { commitAll, drop, isCode, keysOf, put, type Rule, text } from './store.lab.ts'
import type { Fence, Store, StoreLimits } from './store.ts'

/** What batches and purges promise. */
export function batchRules(rule: Rule): void {
  rule('the last operation on a key wins', async (store, fence) => {
    await store.commit([put('a', '1'), drop('a'), put('a', '2'), put('b', '1'), drop('b')], fence)
    assert.deepEqual(await keysOf(store, 'a', 'c'), ['a'])
    assert.deepEqual(await store.get('a'), text('2'))
  })

  rule('deleting what is not there is no error', async (store, fence) => {
    await store.commit([drop('a')], fence)
    await store.commit([put('a')], fence)
    await store.commit([drop('a'), drop('b')], fence)
    assert.equal(await store.get('a'), null)
  })

  rule('batches are applied in the order of the calls', async (store, fence) => {
    const calls = Array.from({ length: 100 }, (_, i) => store.commit([put('k', `v${i}`), put(`k${i % 7}`)], fence))
    const revisions = await Promise.all(calls)
    assert.deepEqual(
      revisions,
      revisions.toSorted((a, b) => a - b),
    )
    assert.deepEqual(await store.get('k'), text('v99'))
  })

  rule('revisions grow with each commit and head tells the last', async (store, fence) => {
    let last = await store.head()
    for (let i = 0; i < 5; i++) {
      const revision = await store.commit(i === 3 ? [] : [put(`k${i}`)], fence)
      assert.ok(revision > last)
      last = revision
      assert.equal(await store.head(), last)
    }
  })

  rule('many commits at once are all there', async (store, fence) => {
    const count = 400
    const revisions = await Promise.all(
      Array.from({ length: count }, (_, i) => store.commit([put(`k${i}`, `a${i}`), put(`l${i}`)], fence)),
    )
    assert.equal(new Set(revisions).size, count)
    for (let i = 0; i < count; i++) assert.deepEqual(await store.get(`k${i}`), text(`a${i}`))
    assert.equal((await keysOf(store, 'k', 'm')).length, 2 * count)
  })

  rule('purge removes what is below a prefix and nothing else', async (store, fence) => {
    const below = Array.from({ length: 300 }, (_, i) => `p/${i % 3}/k${i}`)
    await commitAll(
      store,
      fence,
      below.map(key => put(key)),
    )
    await store.commit([put('p'), put('p-'), put('p0'), put('q/a')], fence)
    await store.purge('p/', fence)
    assert.deepEqual(await keysOf(store, 'a', 'z'), ['p', 'p-', 'p0', 'q/a'])
    await store.purge('p/', fence)
    assert.deepEqual(await keysOf(store, 'a', 'z'), ['p', 'p-', 'p0', 'q/a'])
  })
}

/** What is refused whole. */
export function limitRules(rule: Rule): void {
  const refused = async (store: Store, fence: Fence, batch: Parameters<Store['commit']>[0]): Promise<void> => {
    const head = await store.head()
    await assert.rejects(store.commit([put('witness'), ...batch], fence), isCode('too-large'))
    assert.equal(await store.get('witness'), null)
    assert.equal(await store.head(), head)
  }

  rule('limits are no larger than promised and hold one value', async store => {
    const { valueBytesMax, batchBytesMax, batchOperationsMax } = store.limits satisfies StoreLimits
    assert.ok(batchOperationsMax >= 2)
    assert.ok(batchBytesMax >= valueBytesMax + 2_048)
  })

  rule('a value over the limit writes nothing', async (store, fence) => {
    const { valueBytesMax } = store.limits
    await refused(store, fence, [{ key: 'a', value: new Uint8Array(valueBytesMax + 1) }])
    await store.commit([{ key: 'a', value: new Uint8Array(valueBytesMax) }], fence)
    assert.equal((await store.get('a'))?.length, valueBytesMax)
  })

  rule('too many operations write nothing', async (store, fence) => {
    const { batchOperationsMax } = store.limits
    const batch = Array.from({ length: batchOperationsMax }, (_, i) => drop(`k${i}`))
    await refused(store, fence, batch)
    await store.commit(batch, fence)
  })

  rule('too many bytes in one batch write nothing', async (store, fence) => {
    const { batchBytesMax, valueBytesMax } = store.limits
    const count = Math.ceil(batchBytesMax / valueBytesMax)
    const batch = Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: new Uint8Array(valueBytesMax) }))
    if (count < store.limits.batchOperationsMax) await refused(store, fence, batch)
    await store.commit(batch.slice(1), fence)
  })

  rule('a key of 2,048 bytes is taken, a longer one refused', async (store, fence) => {
    const longest = 'é'.repeat(1_024)
    await store.commit([put(longest, 'v')], fence)
    assert.deepEqual(await store.get(longest), text('v'))
    await refused(store, fence, [put(`${longest}x`, 'v')])
    assert.equal(await store.get(`${longest}x`), null)
  })

  rule('a malformed key is our bug and writes nothing', async (store, fence) => {
    for (const key of ['', 'a\0b', 'a\ud800']) {
      await assert.rejects(store.commit([put('witness'), put(key, '')], fence), { name: 'AssertionError' })
    }
    await store.commit([put('a\ufffd')], fence)
    assert.equal(await store.get('witness'), null)
    assert.equal(await store.get('a\ud800'), null)
  })
}
