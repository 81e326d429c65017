import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryMedium } from '#stores/memory/memory.ts'
import type { KeeperWrite } from './keeper.ts'
import { openKeeperLab, partsNamed, partsOn, smallLimits } from './keeper.lab.ts'
import { textCodec } from './text-codec.ts'

const write = (key: string, entry: string | null): KeeperWrite => ({ key, codec: textCodec, entry })
const never = new AbortController().signal
/** In three parts. */
const large = (label: string): string => label.padEnd(2_500, '.')
/** In more parts than a batch takes. */
const huge = (label: string): string => label.padEnd(9_500, '.')

for (const [what, next] of [
  ['a small one', 'small'],
  ['a large one', large('next')],
  ['nothing', null],
] as const) {
  test(`parts: a large value that is replaced by ${what} goes with the commit that replaces it`, async () => {
    const medium = new MemoryMedium()
    const { keeper } = openKeeperLab({ kind: 'memory', medium })
    await keeper.commit([write('a', large('first'))])
    assert.equal(partsOn(medium).length, 3)
    await keeper.commit([write('a', next)])
    assert.deepEqual(partsOn(medium), partsNamed(medium))
    assert.equal(await keeper.get('a', textCodec), next)
  })
}

test('parts: what a batch does not hold goes right after it', async () => {
  const medium = new MemoryMedium()
  const { keeper } = openKeeperLab({ kind: 'memory', medium })
  await keeper.commit([write('a', huge('first'))])
  assert.ok(partsOn(medium).length > smallLimits.batchOperationsMax)
  await keeper.commit([write('a', 'small')])
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(partsOn(medium), [])
})

test('parts: two large values of one key in one commit leave those of the last', async () => {
  const medium = new MemoryMedium()
  const { keeper } = openKeeperLab({ kind: 'memory', medium })
  await keeper.commit([write('a', large('one')), write('a', large('two'))])
  assert.deepEqual(partsOn(medium), partsNamed(medium))
  assert.equal(await openKeeperLabAgain(medium).get('a', textCodec), large('two'))
})

/** Another keeper over what is on the medium now; nothing of it is in memory. */
function openKeeperLabAgain(medium: MemoryMedium) {
  medium.isOpen = false
  return openKeeperLab({ kind: 'memory', medium }).keeper
}

for (const [how, learn] of [
  ['read', async keeper => keeper.get('a', textCodec)],
  ['swept', keeper => keeper.sweep(never)],
] as const satisfies [string, (keeper: ReturnType<typeof openKeeperLabAgain>) => Promise<unknown>][]) {
  test(`parts: the next keeper removes the parts of an old value that it has ${how}`, async () => {
    const medium = new MemoryMedium()
    await openKeeperLabAgain(medium).commit([write('a', large('first')), write('b', large('stays'))])
    const keeper = openKeeperLabAgain(medium)
    await learn(keeper)
    keeper.forget('all')
    await keeper.commit([write('a', null)])
    assert.deepEqual(partsOn(medium), partsNamed(medium))
    assert.equal(await openKeeperLabAgain(medium).get('b', textCodec), large('stays'))
  })
}

test('parts: what a keeper neither read nor swept is removed by its sweep', async () => {
  const medium = new MemoryMedium()
  await openKeeperLabAgain(medium).commit([write('a', large('first'))])
  const keeper = openKeeperLabAgain(medium)
  await keeper.commit([write('a', 'small')])
  assert.equal(partsOn(medium).length, 3)
  await keeper.sweep(never)
  assert.deepEqual(partsOn(medium), [])
})

test('parts: with more large values than are kept in mind, none is left behind', async () => {
  const medium = new MemoryMedium()
  const { keeper } = openKeeperLab({ kind: 'memory', medium, keeper: { splitKeysMax: 1 } })
  await keeper.commit([write('a', large('a')), write('a/b', large('b'))])
  await keeper.commit([write('c', large('c'))])
  await keeper.commit([write('a', null)])
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(partsOn(medium), partsNamed(medium))
  const again = openKeeperLabAgain(medium)
  assert.deepEqual(await Promise.all(['a', 'a/b', 'c'].map(key => again.get(key, textCodec))), [
    null,
    large('b'),
    large('c'),
  ])
})

test('parts: a sweep stops when told to, and leaves what it can not read', async () => {
  const medium = new MemoryMedium()
  await openKeeperLabAgain(medium).commit([write('a', large('a'))])
  await openKeeperLabAgain(medium).commit([write('a', 'small')])
  await openKeeperLabAgain(medium).sweep(AbortSignal.abort())
  assert.equal(partsOn(medium).length, 3)
  medium.isOpen = false
  const open = (key: string, sealed: Uint8Array): Uint8Array => {
    if (key === 'a') throw new Error('damaged')
    return sealed
  }
  const damaged = openKeeperLab({
    kind: 'memory',
    medium,
    keeper: { barrier: { seal: (_key, plain) => plain, open } },
  })
  await damaged.keeper.sweep(never)
  assert.equal(partsOn(medium).length, 3)
  assert.deepEqual(damaged.failures, [])
})

test('parts: a missing part is damage, and the key is named', async () => {
  const medium = new MemoryMedium()
  await openKeeperLabAgain(medium).commit([write('a', large('a'))])
  medium.apply([{ key: partsOn(medium)[1]!, value: null }])
  const keeper = openKeeperLabAgain(medium)
  await assert.rejects(async () => keeper.get('a', textCodec), /the entry at a is damaged: a part of it is missing/)
})

test('purge: entries go with their parts; the key of the name of the folder keeps its own', async () => {
  const medium = new MemoryMedium()
  const { keeper } = openKeeperLab({ kind: 'memory', medium })
  await keeper.commit([write('a', large('folder'))])
  await keeper.commit([write('a/b', large('b')), write('a/c/d', huge('d'))])
  await keeper.commit([write('a/e', 'small'), write('ab', large('ab'))])
  await keeper.purge('a/')
  for (const [key, want] of [
    ['a', large('folder')],
    ['a/b', null],
    ['a/c/d', null],
    ['a/e', null],
    ['ab', large('ab')],
  ] as const) {
    assert.equal(await keeper.get(key, textCodec), want, key)
    assert.equal(await openKeeperLabAgain(medium).get(key, textCodec), want, key)
  }
  assert.deepEqual(partsOn(medium), partsNamed(medium))
})

for (const [size, value] of [
  ['small', 'small'],
  ['large', large('large')],
] as const) {
  test(`purge: a ${size} value that is written beside it stays or goes as a whole, and the cache knows which`, async () => {
    const outcomes = new Set<unknown>()
    for (let seed = 0; seed < 60; seed++) {
      const medium = new MemoryMedium()
      const lab = openKeeperLab({ kind: 'lagging', medium, seed })
      const { keeper } = lab
      await lab.settle(keeper.commit([write('a/b', huge('old'))]))
      const written = keeper.commit([write('a/b', value)])
      const purged = keeper.purge('a/')
      await lab.clock.advance(seed % 20)
      const read = Promise.resolve(keeper.get('a/b', textCodec))
      const again = keeper.commit([write('a/c', value)])
      await lab.settle(Promise.all([written, purged, read, again]))
      await lab.clock.advance(100)
      const found = await lab.settle(Promise.resolve(keeper.get('a/b', textCodec)))
      await lab.settle(lab.store.close())
      const next = openKeeperLabAgain(medium)
      assert.equal(await next.get('a/b', textCodec), found, `seed ${seed}`)
      const beside = await next.get('a/c', textCodec)
      assert.ok(beside === value || beside === null, `seed ${seed}`)
      outcomes.add(found).add(beside)
    }
    assert.deepEqual(outcomes, new Set([null, value]), 'both ways were seen')
  })
}

test('parts: a sweep knows of a write that is under way', async () => {
  for (let seed = 0; seed < 150; seed++) {
    const medium = new MemoryMedium()
    await openKeeperLabAgain(medium).commit([write('a', large('first'))])
    medium.isOpen = false
    const lab = openKeeperLab({ kind: 'lagging', medium, seed })
    const swept = lab.keeper.sweep(never)
    await lab.clock.advance(seed % 30)
    await lab.settle(Promise.all([swept, lab.keeper.commit([write('a', 'small')])]))
    assert.deepEqual(partsOn(medium), [], `seed ${seed}`)
  }
})

test('purge: a read under way does not bring back what it removed', async () => {
  for (let seed = 0; seed < 40; seed++) {
    const medium = new MemoryMedium()
    await openKeeperLabAgain(medium).commit([write('a/b', 'old')])
    medium.isOpen = false
    const { keeper, settle } = openKeeperLab({ kind: 'lagging', medium, seed })
    await settle(Promise.all([keeper.purge('a/'), keeper.get('a/b', textCodec)]))
    assert.equal(await settle(Promise.resolve(keeper.get('a/b', textCodec))), null, `seed ${seed}`)
  }
})
