import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fence, Store, StoreChange, StoreLimits } from './store.ts'
import {
  disposable,
  drop,
  isCode,
  keysOf,
  names,
  never,
  put,
  settle,
  type StoreLab,
  type StoreSubject,
  text,
} from './store.lab.ts'
import { modelContract } from './store.model.contract.ts'

async function firstChanges(store: Store, since: number, count: number): Promise<StoreChange[]> {
  const seen: StoreChange[] = []
  const stop = new AbortController()
  for await (const change of store.changes(since, stop.signal)) {
    seen.push(change)
    if (seen.length === count) stop.abort()
  }
  return seen
}

/**
 * What every store must do. Call it once in an implementation's test file; it registers tests named
 * `<subject>: <rule>`.
 */
export function storeContract(subject: StoreSubject): void {
  const rule = (name: string, body: (store: Store, fence: Fence, lab: StoreLab) => Promise<void>): void => {
    test(`${subject.name}: ${name}`, async () => {
      await using lab = await subject.lab()
      const store = await lab.open()
      try {
        await body(store, await store.campaign(never), lab)
      } finally {
        await store.close()
      }
    })
  }
  readRules(rule)
  batchRules(rule)
  limitRules(rule)
  termRules(rule)
  changeRules(rule)
  lifeRules(rule)
  modelContract(subject)
}

type Rule = (name: string, body: (store: Store, fence: Fence, lab: StoreLab) => Promise<void>) => void

function readRules(rule: Rule): void {
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
      await store.commit(
        Array.from({ length: 100 }, (_, j) => put(`m/k${i}${String(j).padStart(2, '0')}`, '')),
        fence,
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

function batchRules(rule: Rule): void {
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
    for (let i = 0; i < below.length; i += 20) {
      await store.commit(
        below.slice(i, i + 20).map(key => put(key)),
        fence,
      )
    }
    await store.commit([put('p'), put('p-'), put('p0'), put('q/a')], fence)
    await store.purge('p/', fence)
    assert.deepEqual(await keysOf(store, 'a', 'z'), ['p', 'p-', 'p0', 'q/a'])
    await store.purge('p/', fence)
    assert.deepEqual(await keysOf(store, 'a', 'z'), ['p', 'p-', 'p0', 'q/a'])
  })
}

function limitRules(rule: Rule): void {
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

function termRules(rule: Rule): void {
  rule('a write of an older term is refused and writes nothing', async (store, fence) => {
    await store.commit([put('a', 'old')], fence)
    const newer = { term: fence.term + 1 }
    await store.commit([put('a', 'new'), put('p/a')], newer)
    const head = await store.head()
    await assert.rejects(store.commit([put('a', 'late')], fence), isCode('fenced'))
    await assert.rejects(store.purge('p/', fence), isCode('fenced'))
    assert.ok(await store.get('p/a'))
    assert.deepEqual(await store.get('a'), text('new'))
    assert.equal(await store.head(), head)
  })

  rule('terms grow, and a resigned one is over', async store => {
    const first = await store.campaign(never)
    assert.equal(first.lost.aborted, false)
    await store.commit([put('a')], first)
    await first.resign()
    assert.equal(first.lost.aborted, true)
    const second = await store.campaign(never)
    assert.ok(second.term > first.term)
    await assert.rejects(store.commit([put('b')], first), isCode('fenced'))
    await first.resign()
    assert.equal(second.lost.aborted, false)
    await store.commit([put('c')], second)
    assert.deepEqual(await keysOf(store, 'a', 'd'), ['a', 'c'])
  })

  rule('a campaign can be given up', async store => {
    const reason = new Error('no more')
    await assert.rejects(store.campaign(AbortSignal.abort(reason)), reason)
  })

  rule('terms, revisions and entries outlive reopening', async (store, fence, lab) => {
    const revision = await store.commit([put('a/b', 'kept'), put('c')], fence)
    await store.close()
    await using reopened = disposable(await lab.open())
    const again = reopened.store
    assert.deepEqual(await again.get('a/b'), text('kept'))
    assert.ok((await again.head()) >= revision)
    const term = await again.campaign(never)
    assert.ok(term.term > fence.term)
    await assert.rejects(again.commit([put('d')], fence), isCode('fenced'))
    assert.ok((await again.commit([put('d')], term)) > revision)
  })

  rule('a term that was never written with is not granted again', async (store, fence, lab) => {
    const unused = await store.campaign(never)
    assert.ok(unused.term > fence.term)
    await store.close()
    await using reopened = disposable(await lab.open())
    assert.ok((await reopened.store.campaign(never)).term > unused.term)
  })
}

function changeRules(rule: Rule): void {
  rule('changes come in order with their keys', async (store, fence) => {
    const since = await store.head()
    const first = await store.commit([put('a'), drop('b')], fence)
    const waiting = firstChanges(store, since, 3)
    const [second, third] = await Promise.all([store.commit([put('c')], fence), store.commit([], fence)])
    assert.deepEqual(await waiting, [
      { kind: 'changed', revision: first, keys: ['a', 'b'] },
      { kind: 'changed', revision: second, keys: ['c'] },
      { kind: 'changed', revision: third, keys: [] },
    ])
    assert.deepEqual(await firstChanges(store, first, 1), [{ kind: 'changed', revision: second, keys: ['c'] }])
  })

  rule('changes older than what is kept are told as lost', async (store, fence) => {
    const since = await store.head()
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 1_000 }, () => store.commit([drop('k')], fence)))
    }
    const head = await store.head()
    const [lost] = await firstChanges(store, since, 1)
    assert.deepEqual(lost, { kind: 'lost', revision: head })
    const [recent] = await firstChanges(store, head - 1, 1)
    assert.deepEqual(recent, { kind: 'changed', revision: head, keys: ['k'] })
  })

  rule('a revision that this store never had is told as lost', async (store, fence) => {
    const head = await store.commit([put('a')], fence)
    assert.deepEqual(await firstChanges(store, head + 1_000, 1), [{ kind: 'lost', revision: head }])
  })

  rule('changes go on after reopening, or say lost', async (store, fence, lab) => {
    const revision = await store.commit([put('a')], fence)
    await store.close()
    await using reopened = disposable(await lab.open())
    const [change] = await firstChanges(reopened.store, revision - 1, 1)
    assert.ok(change?.kind === 'lost' || change?.revision === revision)
  })

  rule('changes end with their signal and with the store', async (store, fence) => {
    const head = await store.commit([put('a')], fence)
    const stop = new AbortController()
    const aborted = countChanges(store, head, stop.signal)
    const closed = countChanges(store, head, never)
    stop.abort()
    assert.equal(await aborted, 0)
    await store.close()
    assert.equal(await closed, 0)
    await assert.rejects(
      settle(() => countChanges(store, head, never)),
      isCode('closed'),
    )
  })
}

/** How many changes come until the feed ends. */
async function countChanges(store: Store, since: number, signal: AbortSignal): Promise<number> {
  let count = 0
  for await (const _ of store.changes(since, signal)) count++
  return count
}

function lifeRules(rule: Rule): void {
  rule('close waits for commits under way', async (store, fence, lab) => {
    const commits = Array.from({ length: 50 }, (_, i) => store.commit([put(`k${i}`)], fence))
    const closing = store.close()
    await Promise.all(commits)
    await closing
    await using reopened = disposable(await lab.open())
    assert.equal((await keysOf(reopened.store, 'k', 'l')).length, 50)
  })

  rule('a closed store refuses every call and may be closed again', async (store, fence) => {
    const term = await store.campaign(never)
    await store.close()
    assert.equal(term.lost.aborted, true)
    const calls: (() => unknown)[] = [
      () => store.get('a'),
      () => store.list('', { limit: 1 }),
      () => store.scan({ from: 'a', to: 'b' }, { limit: 1 }),
      () => store.head(),
      () => store.commit([], fence),
      () => store.campaign(never),
      () => store.purge('a/', fence),
    ]
    for (const call of calls) await assert.rejects(settle(call), isCode('closed'))
    await term.resign()
    await store.close()
  })

  rule('a store that is open is busy for the next', async (store, fence, lab) => {
    await assert.rejects(
      settle(() => lab.open()),
      isCode('busy'),
    )
    await store.commit([put('a')], fence)
    await store.close()
    await using reopened = disposable(await lab.open())
    assert.ok(await reopened.store.get('a'))
  })
}
