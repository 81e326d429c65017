import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fence, Store, StoreChange } from './store.ts'
import {
  disposable,
  drop,
  isCode,
  keysOf,
  never,
  put,
  type Rule,
  settle,
  type StoreLab,
  type StoreSubject,
  text,
} from './store.lab.ts'
import { copyRules } from './store.copy.contract.ts'
import { modelContract } from './store.model.contract.ts'
import { readRules } from './store.read.contract.ts'
import { batchRules, limitRules } from './store.write.contract.ts'

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
  copyRules(rule)
  modelContract(subject)
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
    await assert.rejects(store.commit([put('b')], first), isCode('fenced'))
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
