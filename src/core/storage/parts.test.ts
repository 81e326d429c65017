import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededEntropy } from '#ground/base/entropy.ts'
import { batchRefusal } from '#stores/batch.ts'
import { defaultLimits, type StoreBatch } from '#stores/store.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import { smallLimits } from './keeper.lab.ts'
import { batchesOf, gather, keysOfParts, openHead, partKeys, planWrite } from './parts.ts'
import { findParts, type FoundParts } from './sweep.ts'
import { textCodec } from './text-codec.ts'

/** Adds as many bytes as the barrier does, and refuses what comes from another key. */
const barrier = {
  seal: (key: string, plain: Uint8Array): Uint8Array => Buffer.concat([Buffer.from(key.padEnd(33).slice(-33)), plain]),
  open(key: string, sealed: Uint8Array): Uint8Array {
    assert.equal(Buffer.from(sealed.subarray(0, 33)).toString(), key.padEnd(33).slice(-33))
    return sealed.subarray(33)
  },
}
const entropy = seededEntropy(1)
const plan = (entry: string | null, limits = smallLimits) =>
  planWrite({ key: 'a/b', codec: textCodec, entry }, barrier, limits, entropy)

test('parts: a value that fits is in its head; one byte more makes parts; each fits the store', () => {
  for (const limits of [smallLimits, defaultLimits]) {
    const room = Math.min(limits.valueBytesMax, limits.batchBytesMax / 4) - 64
    for (const [bytes, parts] of [
      [0, 0],
      [1, 0],
      [room, 0],
      [room + 1, 2],
      [2 * room, 2],
      [2 * room + 1, 3],
    ] as const) {
      const write = plan('x'.repeat(bytes), limits)
      assert.equal(write.parts.length, parts, `${bytes} bytes`)
      assert.equal(write.split?.count ?? 0, parts)
      assert.equal(write.bytes, bytes)
      for (const operation of [write.head, ...write.parts]) assert.equal(batchRefusal([operation], limits), null)
    }
  }
})

test('parts: they come back as what they were made of', async () => {
  const store = openMemoryStore({ limits: smallLimits })
  const text = 'äöü'.repeat(1_000)
  const { head, parts, split } = plan(text)
  for (const part of parts) await store.commit([part], { term: 1 })
  assert.deepEqual(openHead('a/b', head.value!, barrier), { plain: null, split })
  assert.deepEqual(
    parts.map(part => part.key),
    keysOfParts('a/b', split!),
  )
  assert.equal(textCodec.decode((await gather('a/b', split!, barrier, store))!), text)
  await store.commit([{ key: parts[1]!.key, value: null }], { term: 1 })
  assert.equal(await gather('a/b', split!, barrier, store), null)
})

test('parts: two writes of one value share no key', () => {
  const keys = [...plan('x'.repeat(5_000)).parts, ...plan('x'.repeat(5_000)).parts].map(part => part.key)
  assert.equal(new Set(keys).size, keys.length)
})

test('parts: no value, no parts', () => {
  assert.deepEqual(plan(null), { head: { key: 'a/b', value: null }, parts: [], split: null, bytes: 0 })
})

for (const [rule, replaced, together, after] of [
  ['what a batch holds goes with the head', 7, 8, 0],
  ['else all of it goes after the head', 8, 1, 1],
  ['in as few batches as can be', 17, 1, 3],
] as const) {
  test(`batches: ${rule}`, () => {
    const write = plan('small')
    const keys = Array.from({ length: replaced }, (_, at) => `parts/a/b/old/${at}`)
    const batches = batchesOf([write.head], [write], keys, smallLimits)
    assert.deepEqual([batches.before.length, batches.together.length, batches.after.length], [0, together, after])
    const dropped = [...batches.together.slice(1), ...batches.after.flat()]
    assert.deepEqual(
      dropped,
      keys.map(key => ({ key, value: null })),
    )
  })
}

test('batches: parts come before the head, in as few batches as fit', () => {
  const write = plan('x'.repeat(9_000))
  const { before, together, after } = batchesOf([write.head], [write], [], smallLimits)
  assert.deepEqual([together, after], [[write.head], []])
  assert.deepEqual(before.flat(), write.parts)
  assert.ok(before.length > 1)
  for (const [at, batch] of before.entries()) {
    assert.equal(batchRefusal(batch, smallLimits), null)
    const [next] = before[at + 1] ?? []
    if (next !== undefined) assert.notEqual(batchRefusal([...batch, next], smallLimits), null, 'one more would not fit')
  }
})

test('sweep: parts are found by key and generation, whatever lies below whatever', async () => {
  const store = openMemoryStore()
  const splits = [
    ['a', { generation: 'one', count: 3 }],
    ['a', { generation: 'two', count: 1 }],
    // A key that looks like a generation of the one above it, with parts at the same place.
    ['a/one', { generation: 'three', count: 200 }],
    ['b/c/d', { generation: 'four', count: 2 }],
  ] as const
  for (const [key, split] of splits) {
    for (const part of keysOfParts(key, split))
      await store.commit([{ key: part, value: Buffer.from('x') }], { term: 1 })
  }
  // Nothing that a keeper writes; it belongs to no key.
  const strays: StoreBatch = [
    { key: 'parts/stray', value: Buffer.from('x') },
    { key: 'parts/x/0', value: Buffer.from('x') },
  ]
  await store.commit(strays, { term: 1 })
  const found = new Map<string, string[]>()
  const add = ({ key, generation, parts }: FoundParts): void => {
    const at = `${key} ${generation}`
    found.set(at, [...(found.get(at) ?? []), ...parts])
  }
  for await (const one of findParts('parts/', (prefix, paging) => store.list(prefix, paging))) add(one)
  assert.deepEqual(
    new Map([...found].map(([at, parts]) => [at, parts.sort()])),
    new Map(splits.map(([key, split]) => [`${key} ${split.generation}`, keysOfParts(key, split).sort()])),
  )
  const below: string[] = []
  for await (const { key } of findParts(partKeys('b/'), (prefix, paging) => store.list(prefix, paging))) below.push(key)
  assert.deepEqual(below, ['b/c/d'])
})
