import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drop, jsonEntries, put } from '#backend/storage.ts'
import { MemoryMedium } from '#stores/memory/memory.ts'
import { openKeeperLab } from './keeper.lab.ts'
import { type EffectLog, KeyProblem, MountView } from './view.ts'

const notes = jsonEntries<{ text: string }>('note/')
const roles = jsonEntries<{ text: string }>('role/')
const noEffects = {} as EffectLog

function newViews() {
  const medium = new MemoryMedium()
  const { keeper } = openKeeperLab({ kind: 'memory', medium })
  const viewOf = (prefix: string): MountView => new MountView(keeper, prefix, noEffects)
  return { medium, viewOf, view: viewOf('root/logical/one/') }
}

const longest = 2_048 - 256
const bad: readonly (readonly [rule: string, id: string, text: RegExp])[] = [
  ['a dot segment', '.', /relative paths/],
  ['a parent', '..', /relative paths/],
  ['a parent at the start', '../a', /relative paths/],
  ['a parent in the middle', 'a/../b', /relative paths/],
  ['a parent at the end', 'a/..', /relative paths/],
  ['a dot in the middle', 'a/./b', /relative paths/],
  ['an empty segment', 'a//b', /empty segment/],
  ['a slash first', '/a', /empty segment/],
  ['a slash last', 'a/', /empty segment/],
  ['a long path', 'a'.repeat(longest + 1), /too long/],
  ['a path long in bytes', '\u{1f511}'.repeat(longest / 4 + 1), /too long/],
  ['NUL', 'a\0b', /characters that can not be kept/],
  ['half a surrogate pair', 'a\ud83d', /characters that can not be kept/],
]

for (const [rule, id, text] of bad) {
  test(`view: a key is refused for ${rule}, whatever is done with it`, async () => {
    const { view, medium } = newViews()
    const key = notes.key(id)
    const isProblem = (error: unknown): boolean => error instanceof KeyProblem && text.test(error.message)
    for (const attempt of [
      () => view.get(key),
      () => view.peek(key),
      () => view.update(key, () => ({ entry: { text: 'x' }, result: null })),
      () =>
        view.update(notes.key('fine'), () => ({ entry: { text: 'x' }, also: [put(key, { text: 'x' })], result: null })),
      () => view.commit([put(notes.key('fine'), { text: 'x' }), drop(key)]),
      () => view.list(notes, `${id}/`, { limit: 1 }),
      () => view.purge(notes, `${id}/`),
    ]) {
      await assert.rejects(async () => attempt(), isProblem)
    }
    assert.deepEqual([...medium.from('')], [], 'nothing of it was written')
  })
}

for (const id of [
  'a',
  'a/b',
  '...',
  '.a',
  'a.',
  'a/..b',
  'ä',
  '\u{1f511}',
  ' ',
  'a'.repeat(longest),
  '\u00ff'.repeat(longest / 2),
]) {
  test(`view: ${JSON.stringify(id.length > 20 ? `${id.slice(0, 3)}… of ${Buffer.byteLength(id)} bytes` : id)} is a key`, async () => {
    const { view } = newViews()
    // Longer than its head, so that the keys of parts, which are longer still, fit the store, too.
    const large = { text: 'x'.repeat(2_000) }
    await view.commit([put(notes.key(id), large)])
    assert.deepEqual(await view.get(notes.key(id)), large)
  })
}

test('view: a folder is empty or ends in a slash', async () => {
  const { view } = newViews()
  await assert.rejects(async () => view.list(notes, 'a', { limit: 1 }), KeyProblem)
  await assert.rejects(async () => view.purge(notes, 'a'), KeyProblem)
})

test('view: mounts and kinds of entries do not meet', async () => {
  const { viewOf, view } = newViews()
  const other = viewOf('root/logical/other/')
  await view.commit([put(notes.key('a'), { text: 'note' }), put(roles.key('a'), { text: 'role' })])
  await other.commit([put(notes.key('a'), { text: 'other' })])
  assert.deepEqual(await view.get(notes.key('a')), { text: 'note' })
  assert.deepEqual(await view.get(roles.key('a')), { text: 'role' })
  await view.purge(notes, '')
  assert.equal(await view.get(notes.key('a')), null)
  assert.deepEqual(await view.get(roles.key('a')), { text: 'role' })
  assert.deepEqual(await other.get(notes.key('a')), { text: 'other' })
})

test('view: list shows one level, in pages', async () => {
  const { view } = newViews()
  for (const id of ['a', 'a/b', 'c', 'd/e/f']) await view.commit([put(notes.key(id), { text: id })])
  assert.deepEqual(await view.list(notes, '', { limit: 10 }), { keys: ['a', 'a/', 'c', 'd/'], more: false })
  assert.deepEqual(await view.list(notes, '', { limit: 2, after: 'a' }), { keys: ['a/', 'c'], more: true })
  assert.deepEqual(await view.list(notes, 'd/', { limit: 10 }), { keys: ['e/'], more: false })
})

test('view: an update sees what is under way, changes what it says, and nothing when it throws', async () => {
  const { view } = newViews()
  const key = notes.key('a')
  const underWay = view.commit([put(key, { text: '1' })])
  const add = view.update(key, now => ({
    entry: { text: `${now!.text}2` },
    also: [put(roles.key('r'), { text: 'beside' })],
    result: now!.text,
  }))
  assert.equal(await add, '1')
  await underWay
  assert.deepEqual(view.peek(key), { text: '12' })
  assert.deepEqual(await view.get(roles.key('r')), { text: 'beside' })
  assert.equal(await view.update(key, now => ({ result: now!.text })), '12')
  await assert.rejects(
    view.update(key, () => {
      throw new Error('no')
    }),
    /^Error: no$/,
  )
  assert.deepEqual(view.peek(key), { text: '12' })
  await view.update(key, () => ({ entry: null, result: null }))
  assert.equal(view.peek(key), null)
})

test('view: peek knows what was read, and nothing before', async () => {
  const { view, viewOf, medium } = newViews()
  await view.commit([put(notes.key('a'), { text: 'x' })])
  medium.isOpen = false
  const again = new MountView(openKeeperLab({ kind: 'memory', medium }).keeper, 'root/logical/one/', noEffects)
  assert.equal(again.peek(notes.key('a')), undefined)
  await again.get(notes.key('a'))
  assert.deepEqual(again.peek(notes.key('a')), { text: 'x' })
  await again.get(notes.key('none'))
  assert.equal(again.peek(notes.key('none')), null)
  assert.equal(viewOf('root/logical/two/').peek(notes.key('a')), undefined)
})
