import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from '#ground/base/metrics.ts'
import { simWorld } from '#ground/base/world.ts'
import type { Codec } from '#backend/storage.ts'
import { Keeper, type KeeperWrite } from './keeper.ts'
import { type KeeperLab, openKeeperLab, partsNamed, partsOn } from './keeper.lab.ts'
import { textCodec } from './text-codec.ts'

const write = (key: string, entry: string | null): KeeperWrite => ({ key, codec: textCodec, entry })
const large = (label: string): string => label.padEnd(2_500, '.')

/** A second node's keeper over the same store. */
const otherNode = ({ store, failures }: KeeperLab): Keeper =>
  new Keeper({
    store,
    barrier: { seal: (_key, plain) => plain, open: (_key, sealed) => sealed },
    fence: { term: 0 },
    world: simWorld({ seed: 2 }),
    metrics: new Metrics(simWorld({ seed: 2 }).clock),
    cacheBytes: 100_000,
    beforeCommit: () => undefined,
    onFailed: error => failures.push(error),
  })

for (const [what, forgotten] of [
  ['the key', ['a']],
  ['all', 'all'],
] as const) {
  test(`forget ${what}: a read that waited on the store meanwhile does not bring the old entry back`, async () => {
    for (let seed = 0; seed < 20; seed++) {
      const lab = openKeeperLab({ kind: 'lagging', seed })
      const reader = otherNode(lab)
      await lab.settle(lab.keeper.commit([write('a', 'old')]))
      const read = Promise.resolve(reader.get('a', textCodec))
      await lab.clock.advance(seed % 8)
      const written = lab.keeper.commit([write('a', 'new')])
      await lab.settle(written.then(() => reader.forget(forgotten)))
      await lab.settle(read)
      assert.equal(await lab.settle(Promise.resolve(reader.get('a', textCodec))), 'new', `seed ${seed}`)
    }
  })
}

test('a read under way while another node replaces a large value gets one of both, whole', async () => {
  const seen = new Set<unknown>()
  for (let seed = 0; seed < 60; seed++) {
    const lab = openKeeperLab({ kind: 'lagging', seed })
    const reader = otherNode(lab)
    await lab.settle(lab.keeper.commit([write('a', large('old'))]))
    const read = Promise.resolve(reader.get('a', textCodec))
    await lab.clock.advance(seed)
    const written = lab.keeper.commit([write('a', large('new'))])
    const [found] = await lab.settle(Promise.all([read, written]))
    assert.ok(found === large('old') || found === large('new'), `seed ${seed}: ${String(found).slice(0, 20)}`)
    seen.add(found)
  }
  assert.equal(seen.size, 2, 'both ways were seen')
})

test('a read does not cache what was replaced meanwhile by an entry that is too large for the cache', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const lab = openKeeperLab({ kind: 'lagging', seed, keeper: { cacheBytes: 10_000 } })
    await lab.settle(lab.keeper.commit([write('a', 'old')]))
    lab.keeper.forget('all')
    const read = Promise.resolve(lab.keeper.get('a', textCodec))
    const written = lab.keeper.commit([write('a', large('new'))])
    await lab.settle(Promise.all([read, written]))
    assert.equal(await lab.settle(Promise.resolve(lab.keeper.get('a', textCodec))), large('new'), `seed ${seed}`)
  }
})

test('an update sees a commit that came between its read and its turn', async () => {
  const lab = openKeeperLab({ kind: 'lagging' })
  const { keeper } = lab
  await lab.settle(keeper.commit([write('a', 'old')]))
  keeper.forget('all')
  const between: Promise<void>[] = []
  const codec: Codec<unknown> = {
    ...textCodec,
    decode(bytes) {
      queueMicrotask(() => between.push(keeper.commit([write('a', 'between')])))
      return textCodec.decode(bytes)
    },
  }
  const update = keeper.update('a', codec, now => ({ entry: 'after', result: now }))
  assert.equal(await lab.settle(update), 'between')
  await lab.settle(Promise.all(between))
  assert.equal(keeper.peek('a'), 'after')
})

test('what beforeCommit refuses is not written, and the keeper goes on', async () => {
  const audit = { isBroken: true }
  const { keeper, failures } = openKeeperLab({
    kind: 'memory',
    keeper: {
      beforeCommit() {
        if (audit.isBroken) throw new Error('the audit file takes no more')
      },
    },
  })
  await assert.rejects(async () => keeper.commit([write('a', 'refused')]), /takes no more/)
  await assert.rejects(async () => keeper.update('a', textCodec, () => ({ entry: 'refused', result: null })), /no more/)
  await assert.rejects(async () => keeper.purge('a/'), /takes no more/)
  assert.equal(await keeper.get('a', textCodec), null)
  assert.deepEqual(failures, [])
  audit.isBroken = false
  await keeper.commit([write('a', 'taken')])
  assert.equal(await keeper.get('a', textCodec), 'taken')
})

test('a store that failed is told once, and nothing is answered that could rest on what it lost', async () => {
  const { keeper, failures } = openKeeperLab({ kind: 'memory', fault: { call: 'commit', at: 2, isApplied: false } })
  await keeper.commit([write('a', 'kept')])
  const lost = [keeper.commit([write('a', 'lost')]), keeper.commit([write('a', 'lost too')])]
  for (const one of lost) await assert.rejects(one)
  assert.equal(failures.length, 1)
  assert.equal(keeper.peek('a'), undefined)
  await assert.rejects(async () => keeper.get('a', textCodec), /restart the server/)
  await assert.rejects(async () => keeper.update('a', textCodec, () => ({ result: null })), /restart the server/)
  await assert.rejects(async () => keeper.list('', { limit: 10 }), /restart the server/)
  await assert.rejects(async () => keeper.purge('a/'), /restart the server/)
})

for (const kind of ['memory', 'lagging'] as const) {
  test(`${kind}: a full store's refusals are forgotten with all that was built on them, and the keeper goes on`, async () => {
    const fault = { call: 'full' as const, at: 0, to: 0 }
    const { keeper, failures, settle, clock, medium } = openKeeperLab({ kind, fault })
    await settle(keeper.commit([write('a', 'kept'), write('b', large('kept'))]))
    fault.to = Number.POSITIVE_INFINITY
    const refused = [
      keeper.commit([write('a', 'lost'), write('c', 'lost')]),
      keeper.update('a', textCodec, now => ({ entry: `${String(now)} twice`, result: null })),
      keeper.commit([write('b', large('lost'))]),
    ]
    assert.equal(keeper.peek('a'), 'lost twice')
    for (const one of await settle(Promise.allSettled(refused))) {
      assert.equal(one.status === 'rejected' && (one.reason as { code: string }).code, 'full')
    }
    fault.to = 0
    assert.deepEqual(failures, [])
    const get = (key: string): Promise<unknown> => settle(Promise.resolve(keeper.get(key, textCodec)))
    assert.deepEqual([await get('a'), await get('b'), await get('c')], ['kept', large('kept'), null])
    const appended = keeper.update('a', textCodec, now => ({ entry: `${String(now)} on`, result: null }))
    await settle(appended)
    await settle(keeper.commit([write('b', large('new'))]))
    assert.deepEqual([await get('a'), await get('b')], ['kept on', large('new')])
    await settle(keeper.sweep(new AbortController().signal))
    await clock.advance(200)
    assert.deepEqual(partsOn(medium), partsNamed(medium))
  })
}

test('an entry that its codec can not read is named by its key, never shown', async () => {
  const { keeper } = openKeeperLab({ kind: 'memory' })
  await keeper.commit([write('a', 'hidden')])
  keeper.forget('all')
  const codec: Codec<unknown> = {
    ...textCodec,
    decode() {
      throw new Error('no such form')
    },
  }
  await assert.rejects(
    async () => keeper.get('a', codec),
    (error: Error) => error.message.includes('the entry at a can') && !error.message.includes('hidden'),
  )
})

test('only uncached entries that fit their head stay out of memory', async () => {
  const { keeper } = openKeeperLab({ kind: 'memory' })
  const underWay = keeper.commit([
    { ...write('small', '1'), uncached: true },
    { ...write('large', large('1')), uncached: true },
  ])
  assert.equal(keeper.peek('small'), undefined)
  assert.equal(keeper.peek('large'), large('1'))
  await underWay
})
