import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from '#ground/base/metrics.ts'
import { simWorld } from '#ground/base/world.ts'
import { createBarrier } from '#core/barrier/barrier.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import { Keeper, type KeeperWrite } from './keeper.ts'
import { textCodec } from './text-codec.ts'

async function newKeeper() {
  const world = simWorld({ seed: 9 })
  const store = openMemoryStore()
  const fence = await store.campaign(world.signal)
  const barrier = await createBarrier(store, fence, world, world.entropy.bytes(32), [
    { key: 'core/x', value: Buffer.from('x') },
  ])
  const failures: unknown[] = []
  const open = (): Keeper =>
    new Keeper({
      store,
      barrier,
      fence,
      world,
      metrics: new Metrics(world.clock),
      cacheBytes: 1 << 20,
      beforeCommit: () => undefined,
      onFailed: error => failures.push(error),
    })
  return { keeper: open(), open, failures, limits: store.limits }
}

const write = (key: string, entry: string | null): KeeperWrite => ({ key, codec: textCodec, entry })

test('what was committed is read again, also by a keeper that has nothing in memory', async () => {
  const { keeper, open } = await newKeeper()
  await keeper.commit([write('a/one', '1'), write('a/two', '2')])
  await keeper.commit([write('a/two', null)])
  assert.equal(await keeper.get('a/one', textCodec), '1')
  const fresh = open()
  assert.equal(await fresh.get('a/one', textCodec), '1')
  assert.equal(await fresh.get('a/two', textCodec), null)
})

test('more writes than the store takes at once are refused, and the keeper goes on', async () => {
  const { keeper, failures, limits } = await newKeeper()
  const many = Array.from({ length: limits.batchOperationsMax + 1 }, (_, i) => write(`a/${i}`, 'x'))
  await assert.rejects(async () => keeper.commit(many), { code: 'too-large' })
  assert.deepEqual(failures, [])
  assert.equal(await keeper.get('a/0', textCodec), null)
  await keeper.commit([write('a/0', 'later')])
  assert.equal(await keeper.get('a/0', textCodec), 'later')
})

test('a value larger than one of the store comes back whole', async () => {
  const { keeper, open, limits } = await newKeeper()
  const large = 'v'.repeat(limits.valueBytesMax * 2)
  await keeper.commit([write('a/large', large)])
  assert.equal(await open().get('a/large', textCodec), large)
})

test('updates of one key come one after the other, each with what the one before wrote', async () => {
  const { keeper } = await newKeeper()
  const add = (): unknown =>
    keeper.update<number>('a/count', textCodec, now => {
      const next = Number((now as string | null) ?? '0') + 1
      return { entry: String(next), result: next }
    })
  const results = await Promise.all(Array.from({ length: 20 }, add))
  assert.deepEqual(
    results,
    Array.from({ length: 20 }, (_, i) => i + 1),
  )
})
