import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Instant, instant } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import type { KeeperWrite } from '#core/storage/keeper.ts'
import { type Due, type DueHandler, DueLane } from './due-lane.ts'

const codec = { prefix: '', encode: () => new Uint8Array(0), decode: () => true }

/** A lane over keys in memory, which counts what is read of them. */
function open(ids: readonly string[], handler: DueHandler, width = 4) {
  const world = simWorld({ seed: 1 })
  const keys = new Set<string>()
  const keyOf = ({ at, id }: Due): string => `due/x/${String(at).padStart(15, '0')}/${id}`
  const read = { keys: 0, failAt: Number.POSITIVE_INFINITY, calls: 0 }
  const stopping = new AbortController()
  const keeper = {
    scanKeys: (
      { from, to }: { from: string; to: string },
      { after = '', limit }: { after?: string; limit: number },
    ) => {
      if (++read.calls === read.failAt) throw new Error('the store is away')
      const found = [...keys].filter(key => key >= from && key < to && key > after).toSorted()
      read.keys += Math.min(found.length, limit)
      return { keys: found.slice(0, limit), more: found.length > limit }
    },
    commit: async (writes: readonly KeeperWrite[]) => {
      for (const { key, entry } of writes) if (entry === null) keys.delete(key)
      for (const { key, entry } of writes) if (entry !== null) keys.add(key)
    },
  }
  for (const id of ids) keys.add(keyOf({ lane: 'x', id, at: world.clock.now() }))
  const lane = new DueLane({
    name: 'x',
    width,
    handler,
    keeper,
    world,
    signal: stopping.signal,
    prefix: 'due/x/',
    keyAt: at => `due/x/${String(at).padStart(15, '0')}`,
    parse: key => ({ lane: 'x', at: instant(Number(key.slice(6, 21))), id: key.slice(22) }),
    entry: due => ({ key: keyOf(due), codec, entry: true }),
    remove: due => ({ key: keyOf(due), codec, entry: null }),
  })
  lane.wake()
  return { world, keys, read, stopping }
}

test('due lane: what fails is tried again later and later, and gone once it succeeds', async () => {
  const tries: Instant[] = []
  let fails = 4
  const { world, keys } = open(['a'], async () => {
    tries.push(world.clock.now())
    if (fails-- > 0) throw new Error('down')
    return []
  })
  await world.clock.advance(120_000)
  assert.equal(tries.length, 5)
  const waits = tries.slice(1).map((at, index) => at - tries[index]!)
  for (const [index, wait] of waits.entries()) {
    const middle = 2_000 * 2 ** index
    assert.ok(wait >= 0.75 * middle && wait <= 1.25 * middle + 1, `${wait} after ${index + 1} failures`)
  }
  assert.deepEqual([...keys], [])
  assert.equal(world.clock.waiting, 0)
})

test('due lane: many that fail are not read again before their time', async () => {
  let handled = 0
  const ids = Array.from({ length: 400 }, (_, index) => `id-${index}`)
  const { world, read, stopping } = open(ids, async () => {
    handled++
    throw new Error('down')
  })
  await world.clock.advance(600_000)
  assert.ok(handled > 400 * 5, `${handled}`)
  // Each is read when it is due, and now and then as the next to come.
  assert.ok(read.keys <= handled * 2 + 1, `${read.keys} keys read for ${handled} tries`)
  stopping.abort()
})

test('due lane: what comes due while another hangs is worked on beside it', async () => {
  const done: string[] = []
  const { world, stopping } = open(
    ['hangs', 'one', 'two'],
    async ({ id }) => {
      if (id === 'hangs') await new Promise(() => undefined)
      done.push(id)
      return []
    },
    2,
  )
  await world.clock.advance(10)
  assert.deepEqual(done, ['one', 'two'])
  stopping.abort()
})

test('due lane: a page that can not be read ends no work that is under way, and is read again', async () => {
  const handled: string[] = []
  let atWork = 0
  const ids = Array.from({ length: 600 }, (_, index) => `id-${index}`)
  const { world, keys, read } = open(ids, async ({ id }) => {
    atWork++
    await new Promise(resolve => setImmediate(resolve))
    atWork--
    handled.push(id)
    return []
  })
  read.failAt = 2
  await world.clock.advance(1)
  while (handled.length < 256) await new Promise(resolve => setImmediate(resolve))
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual([handled.length, atWork], [256, 0])
  await world.clock.advance(10_000)
  while (keys.size > 0) await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual([handled.length, new Set(handled).size], [600, 600], 'each once')
})
