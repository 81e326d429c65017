import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FaultPlan, faultyStore } from './faulty/faulty.ts'
import { isCode, never, put, settle, type StoreLab, text } from './store.lab.ts'
import type { Fence, Store } from './store.ts'

const rounds = 6

/** Each round writes two keys in one batch and removes the round before; what was acknowledged is told. */
async function work(store: Store, fence: Fence, acknowledge: (round: number) => void): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const remove = round > 0 ? [{ key: `old/${round - 1}`, value: null }] : []
    await store.commit(
      [put(`a/${round}`, `v${round}`), put(`b/${round}`, `v${round}`), put(`old/${round}`), ...remove],
      fence,
    )
    acknowledge(round)
    assert.deepEqual(await store.get(`a/${round}`), text(`v${round}`))
  }
  await store.purge('b/', fence)
}

/** What holds whatever call failed: the acknowledged is there, nothing is there by half, and work can go on. */
async function inspect(store: Store, acknowledged: number): Promise<void> {
  let last = -1
  for (let round = 0; round < rounds; round++) {
    if (!(await store.get(`a/${round}`))) continue
    assert.equal(round, last + 1)
    last = round
  }
  assert.ok(last >= acknowledged)
  const { names } = await store.list('old/', { limit: 10 })
  assert.deepEqual(names, last < 0 ? [] : [String(last)])
  if (acknowledged < rounds - 1 && last >= 0) assert.ok(await store.get(`b/${last}`))
  await work(store, await store.campaign(never), () => undefined)
  assert.deepEqual(await store.list('', { limit: 10 }), { names: ['a/', 'old/'], more: false })
}

async function assertDead(store: Store, fence: Fence, lost: AbortSignal): Promise<void> {
  const calls: (() => unknown)[] = [
    () => store.get('a/0'),
    () => store.list('', { limit: 1 }),
    () => store.scan({ from: 'a', to: 'b' }, { limit: 1 }),
    () => store.head(),
    () => store.commit([put('late')], fence),
    () => store.purge('a/', fence),
    () => store.campaign(never),
  ]
  for (const call of calls) await assert.rejects(settle(call), isCode('failed'))
  assert.equal(lost.aborted, true)
}

async function tryPlan(lab: StoreLab, plan: FaultPlan): Promise<boolean> {
  const store = faultyStore(await lab.open(), plan)
  let acknowledged = -1
  try {
    const term = await store.campaign(never)
    const before = await store.commit([], term).catch(() => 0)
    const feed = (async () => {
      for await (const _ of store.changes(before, never)) continue
    })()
    const fed = feed.then(
      () => null,
      (error: unknown) => error,
    )
    const failure = await work(store, term, round => {
      acknowledged = round
    }).then(
      () => null,
      (error: unknown) => error,
    )
    assert.equal(store.hasFailed, failure !== null)
    if (failure !== null) {
      assert.ok(isCode('failed')(failure))
      assert.ok(isCode('failed')(await fed))
      await assertDead(store, term, term.lost)
    }
  } finally {
    await store.close()
  }
  const again = await lab.open()
  try {
    await inspect(again, acknowledged)
  } finally {
    await again.close()
  }
  return store.hasFailed
}

/** One commit, the n-th, finds no room: it is not there, and reads and all other commits go on. */
async function tryFull(lab: StoreLab, at: number): Promise<boolean> {
  const store = faultyStore(await lab.open(), { call: 'full', at, to: at })
  try {
    const term = await store.campaign(never)
    let refused = 0
    for (let round = 0; round < rounds; round++) {
      try {
        await store.commit([put(`a/${round}`), put(`b/${round}`)], term)
        assert.ok(await store.get(`a/${round}`))
      } catch (error) {
        assert.ok(isCode('full')(error))
        refused++
        assert.deepEqual([await store.get(`a/${round}`), await store.get(`b/${round}`)], [null, null])
      }
    }
    assert.equal(term.lost.aborted, false)
    await store.purge('b/', term)
    return refused > 0
  } catch (error) {
    // A purge is cut short, and goes on when it is called again.
    assert.ok(isCode('full')(error))
    const term = await store.campaign(never)
    await store.purge('b/', term)
    return true
  } finally {
    assert.deepEqual(await store.list('b/', { limit: 10 }), { names: [], more: false })
    await store.close()
  }
}

/** Fails the n-th commit, before and after it is applied, and the n-th read, for every n that a workload reaches. */
export function faultContract(subject: { readonly name: string; readonly lab: () => Promise<StoreLab> }): void {
  const plans: [string, (at: number) => FaultPlan][] = [
    ['a commit that fails and is not written', at => ({ call: 'commit', at, isApplied: false })],
    ['a commit that fails and is written', at => ({ call: 'commit', at, isApplied: true })],
    ['a read that fails', at => ({ call: 'read', at })],
  ]
  for (const [name, plan] of plans) {
    test(`${subject.name}: ${name} loses and halves nothing, for every n`, async () => {
      for (let at = 1; ; at++) {
        await using lab = await subject.lab()
        if (await tryPlan(lab, plan(at))) continue
        assert.ok(at > rounds)
        return
      }
    })
  }
  test(`${subject.name}: a commit that finds no room leaves nothing and stops nothing, for every n`, async () => {
    for (let at = 1; ; at++) {
      await using lab = await subject.lab()
      if (await tryFull(lab, at)) continue
      assert.ok(at > rounds)
      return
    }
  })
}
