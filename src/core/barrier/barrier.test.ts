import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simWorld } from '#ground/base/world.ts'
import { createAeadKey } from '#ground/crypto/aead.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import type { Fence, Store } from '#stores/store.ts'
import { Barrier, BarrierError, createBarrier, formatKey, keyringKey, openBarrier } from './barrier.ts'
import { type Keyring, decodeKeyring, defaultRotation, encodeKeyring } from './keyring.ts'
import { entryOverhead, termOf } from './sealed-entry.ts'

type House = {
  world: ReturnType<typeof simWorld>
  store: Store
  fence: Fence
  rootKey: Uint8Array
  barrier: Barrier
}

async function newHouse(): Promise<House> {
  const world = simWorld({ seed: 5 })
  const store = openMemoryStore()
  const fence = await store.campaign(world.signal)
  const rootKey = world.entropy.bytes(32)
  const barrier = await createBarrier(store, fence, world, rootKey, [{ key: 'core/x', value: Buffer.from('x') }])
  return { world, store, fence, rootKey, barrier }
}

const bytes = (text: string): Uint8Array => Buffer.from(text)
const text = (plain: Uint8Array): string => Buffer.from(plain).toString()
const refuses = (code: BarrierError['code']): { name: string; code: string } => ({ name: 'BarrierError', code })

test('barrier: an entry has term, version 2, nonce, ciphertext and tag', async () => {
  const { barrier } = await newHouse()
  const sealed = barrier.seal('logical/a', bytes('hello'))
  assert.equal(sealed.length, 5 + entryOverhead)
  assert.deepEqual([...sealed.subarray(0, 5)], [0, 0, 0, 1, 2])
  assert.ok(!Buffer.from(sealed).includes('hello'))
  assert.equal(text(barrier.open('logical/a', sealed)), 'hello')
})

test('barrier: an entry moved to another key, changed in any bit, or cut, is damaged', async () => {
  const { barrier, fence } = await newHouse()
  await barrier.rotate(fence)
  const sealed = barrier.seal('a', bytes('hello'))
  assert.throws(() => barrier.open('b', sealed), refuses('damaged'))
  for (let length = 0; length < sealed.length; length++) {
    assert.throws(() => barrier.open('a', sealed.subarray(0, length)), refuses('damaged'))
  }
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Uint8Array.from(sealed)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    assert.throws(() => barrier.open('a', changed), BarrierError)
  }
})

test('barrier: keys that differ beyond the longest key are not confused, but refused', async () => {
  const { barrier } = await newHouse()
  assert.throws(() => barrier.seal('a'.repeat(2049), bytes('x')), RangeError)
  const long = '€'.repeat(2047)
  assert.throws(() => barrier.open(`${long}a`, barrier.seal(`${long}b`, bytes('x'))), refuses('damaged'))
})

test('barrier: what was sealed under an old term opens after rotations and a restart', async () => {
  const { barrier, store, world, fence, rootKey } = await newHouse()
  const first = barrier.seal('a', bytes('one'))
  await barrier.rotate(fence)
  const second = barrier.seal('a', bytes('two'))
  assert.deepEqual([termOf(first), termOf(second), barrier.term], [1, 2, 2])
  const again = await openBarrier(store, world, rootKey)
  assert.deepEqual([text(again.open('a', first)), text(again.open('a', second)), again.term], ['one', 'two', 2])
})

test('barrier: a term that is not in the keyring is told apart from damage, and reload learns it', async () => {
  const { barrier, store, world, fence, rootKey } = await newHouse()
  const follower = await openBarrier(store, world, rootKey)
  await barrier.rotate(fence)
  const sealed = barrier.seal('a', bytes('x'))
  assert.throws(() => follower.open('a', sealed), refuses('unknown-term'))
  await follower.reload()
  assert.equal(text(follower.open('a', sealed)), 'x')
})

test('barrier: a changed root key opens the keyring, the old one does not, and a follower learns it', async () => {
  const { barrier, store, world, fence, rootKey } = await newHouse()
  const sealed = barrier.seal('a', bytes('x'))
  const follower = await openBarrier(store, world, rootKey)
  let changed = new Uint8Array()
  await barrier.replaceRootKey(fence, async key => {
    changed = Uint8Array.from(key)
    return [{ key: 'core/wrapped', value: bytes('w') }]
  })
  assert.equal(text((await store.get('core/wrapped'))!), 'w')
  await assert.rejects(openBarrier(store, world, rootKey), refuses('damaged'))
  assert.equal(text((await openBarrier(store, world, changed)).open('a', sealed)), 'x')
  await follower.reload()
  await barrier.rotate(fence)
  await follower.reload()
  assert.equal(follower.term, 2)
})

test('barrier: counting survives a restart, goes on while the keyring is written, and begins anew with a term', async () => {
  const { barrier, store, world, fence, rootKey } = await newHouse()
  for (let i = 0; i < 10; i++) barrier.seal('a', bytes('x'))
  const kept = barrier.keepCount(fence)
  barrier.seal('a', bytes('x'))
  await kept
  barrier.seal('a', bytes('x'))
  assert.equal(barrier.encryptions, 12)
  const again = await openBarrier(store, world, rootKey)
  assert.ok(again.encryptions >= 10 && again.encryptions <= 11)
  await again.rotate(fence)
  assert.deepEqual([again.term, again.encryptions], [2, 0])
})

test('barrier: rotates when the key has sealed what it may, or is old enough, and not before', async () => {
  const { barrier, world, fence } = await newHouse()
  await barrier.setRotation(fence, { isEnabled: true, operationsMax: 3, intervalMs: 60_000 })
  barrier.seal('a', bytes('x'))
  barrier.seal('a', bytes('x'))
  await barrier.rotateIfWorn(fence)
  assert.equal(barrier.term, 1)
  barrier.seal('a', bytes('x'))
  await barrier.rotateIfWorn(fence)
  assert.equal(barrier.term, 2)
  await world.clock.advance(60_000)
  await barrier.rotateIfWorn(fence)
  assert.equal(barrier.term, 3)
  await barrier.setRotation(fence, { ...barrier.rotation, isEnabled: false })
  await world.clock.advance(600_000)
  await barrier.rotateIfWorn(fence)
  assert.equal(barrier.term, 3)
})

test('barrier: a key that sealed 2^32 entries seals no more', () => {
  const world = simWorld({ seed: 1 })
  const key = { term: 1, raw: world.entropy.bytes(32), installedAt: world.clock.now(), encryptions: 2 ** 32 - 1 }
  const root = createAeadKey(world.entropy.bytes(32))
  const barrier = new Barrier(openMemoryStore(), world, root, { keys: [key], rotation: defaultRotation })
  barrier.seal('a', bytes('x'))
  assert.throws(() => barrier.seal('a', bytes('x')), refuses('exhausted'))
})

test('barrier: rotations asked for at once each make a term', async () => {
  const { barrier, store, world, fence, rootKey } = await newHouse()
  await Promise.all([barrier.rotate(fence), barrier.keepCount(fence), barrier.rotate(fence), barrier.rotate(fence)])
  assert.equal(barrier.term, 4)
  assert.equal((await openBarrier(store, world, rootKey)).term, 4)
})

test('barrier: a rotation that the store refuses changes nothing', async () => {
  const { barrier, store, world, fence, rootKey } = await newHouse()
  await store.campaign(world.signal)
  await assert.rejects(barrier.rotate(fence), { name: 'StoreError', code: 'fenced' })
  assert.equal(barrier.term, 1)
  assert.equal((await openBarrier(store, world, rootKey)).term, 1)
})

test('barrier: closed, it opens, seals and rotates nothing, also what was under way', async () => {
  const { barrier, fence } = await newHouse()
  const sealed = barrier.seal('a', bytes('x'))
  const under = barrier.rotate(fence)
  barrier.close()
  assert.equal(barrier.isOpen, false)
  assert.throws(() => barrier.open('a', sealed), refuses('sealed'))
  assert.throws(() => barrier.seal('a', bytes('x')), refuses('sealed'))
  await assert.rejects(under, refuses('sealed'))
  await assert.rejects(barrier.rotate(fence), refuses('sealed'))
  await assert.rejects(barrier.reload(), refuses('sealed'))
})

test('barrier: storage of a newer format, of another program, or under another root key is refused', async () => {
  const { store, world, fence, rootKey } = await newHouse()
  await assert.rejects(openBarrier(store, world, world.entropy.bytes(32)), {
    ...refuses('damaged'),
    message: 'the root key does not open the keyring',
  })
  await store.commit([{ key: formatKey, value: bytes('{"version":2}') }], fence)
  await assert.rejects(openBarrier(store, world, rootKey), {
    message: 'the store was written by a newer coffer (format 2), this one knows 1: update it',
  })
  await store.commit([{ key: formatKey, value: bytes('junk') }], fence)
  await assert.rejects(openBarrier(store, world, rootKey), {
    message: 'the storage has no format marker of coffer; this version reads format 1',
  })
})

test('barrier: nothing that is written holds a raw key', async () => {
  const { barrier, store, rootKey, fence } = await newHouse()
  await barrier.rotate(fence)
  const { entries } = await store.scan({ from: 'a', to: 'z' }, { limit: 100 })
  assert.deepEqual(
    entries.map(entry => entry.key),
    [formatKey, keyringKey, 'core/x'],
  )
  for (const { value } of entries) assert.ok(!Buffer.from(value).includes(rootKey))
  assert.ok(!Buffer.from(entries[1]!.value).includes('installedAt'))
})

test('keyring: it reads back, and a cut one is refused', () => {
  const world = simWorld({ seed: 2 })
  const keys = [1, 2, 7].map(term => ({
    term,
    raw: world.entropy.bytes(32),
    installedAt: world.clock.now(),
    encryptions: term * 10,
  }))
  const ring: Keyring = { keys, rotation: { isEnabled: false, operationsMax: 1_000_000, intervalMs: 86_400_000 } }
  const encoded = encodeKeyring(ring)
  assert.deepEqual(decodeKeyring(encoded), ring)
  assert.throws(() => decodeKeyring(encoded.subarray(0, -1)), RangeError)
  assert.throws(() => decodeKeyring(bytes('')), RangeError)
})
