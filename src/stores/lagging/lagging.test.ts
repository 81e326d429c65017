import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simWorld } from '#ground/base/world.ts'
import { MemoryMedium } from '#stores/memory/memory.ts'
import { storeContract } from '#stores/store.contract.ts'
import { faultContract } from '#stores/store.fault.contract.ts'
import { isCode, never, put, type StoreLab } from '#stores/store.lab.ts'
import { type LaggingStore, openLaggingStore } from './lagging.ts'

/** Virtual time that runs by itself until disposed. */
function running(seed: number): AsyncDisposable & { open(): Promise<LaggingStore> } {
  const world = simWorld({ seed })
  const medium = new MemoryMedium()
  const over = new AbortController()
  const pumping = (async () => {
    while (!over.signal.aborted) await world.clock.advance(1)
  })()
  return {
    open: async () => openLaggingStore({ world, medium }),
    [Symbol.asyncDispose]: async () => {
      over.abort()
      await pumping
    },
  }
}

const lab = async (): Promise<StoreLab> => running(1)
storeContract({ name: 'lagging store', modelRuns: 40, lab })
faultContract({ name: 'lagging store', lab })

test('lagging store: a paused leader is refused before it learns that it lost', async () => {
  await using lab = running(7)
  const store = await lab.open()
  const term = await store.campaign(never)
  await store.commit([put('a')], term)
  store.loseTerm()
  assert.equal(term.lost.aborted, false)
  await assert.rejects(store.commit([put('b')], term), isCode('fenced'))
  const next = await store.campaign(never)
  assert.equal(term.lost.aborted, true)
  await store.commit([put('c')], next)
  assert.deepEqual((await store.list('', { limit: 9 })).names, ['a', 'c'])
  await store.close()
})

test('lagging store: nothing moves while the clock stands still', async () => {
  const world = simWorld({ seed: 3 })
  const store = openLaggingStore({ world, lagMsMax: 10 })
  let term: { term: number } | undefined
  const campaign = store.campaign(never).then(granted => {
    term = granted
  })
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(term, undefined)
  await world.clock.advance(20)
  await campaign
  assert.ok(term)
  await store.close()
  assert.equal(world.clock.waiting, 0)
})
