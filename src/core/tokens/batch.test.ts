import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instant, seconds } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import type { TokenKey } from '#backend/engine.ts'
import { type Barrier, createBarrier, openBarrier } from '#core/barrier/barrier.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import { BatchTokens, batchOnly } from './batch.ts'
import type { TokenEntry } from './entry.ts'

const entry: TokenEntry = {
  ...batchOnly,
  parent: 'ab'.repeat(16) as TokenKey,
  parentAccessor: 'x'.repeat(24),
  policies: ['app', 'default'],
  path: 'auth/token/create/ci',
  metadata: { team: 'web' },
  displayName: 'token-ci',
  createdAt: instant(1_767_225_600_123),
  creationTtl: seconds(3600),
  expiresAt: instant(1_767_229_200_123),
  grantedTtl: seconds(3600),
  entityId: '',
  boundCidrs: ['10.0.0.0/8'],
  mountAccessor: 'auth_token_builtin',
  tokenRole: { name: 'ci', period: seconds(0), explicitMaxTtl: seconds(0) },
}

async function open(seed = 5) {
  const world = simWorld({ seed })
  const store = openMemoryStore()
  const fence = await store.campaign(world.signal)
  const rootKey = world.entropy.bytes(32)
  const barrier = await createBarrier(store, fence, world, rootKey, [])
  return { world, store, fence, rootKey, barrier, batch: new BatchTokens(barrier, 'root/token/') }
}

test('batch token: what it is comes out of it again, and none of it can be read', async () => {
  const { batch } = await open()
  const token = batch.seal(entry)
  assert.match(token, /^hvb\.[A-Za-z0-9_-]+$/)
  assert.deepEqual(batch.open(token), entry)
  assert.doesNotMatch(Buffer.from(token.slice(4), 'base64url').toString('latin1'), /app|default|web/)
  const orphan: TokenEntry = { ...entry, parent: null, metadata: null, boundCidrs: [] }
  delete (orphan as { parentAccessor?: string }).parentAccessor
  assert.deepEqual(batch.open(batch.seal(orphan)), orphan)
})

test('batch token: one made before rotations of the key is good after them and after a restart', async () => {
  const { batch, barrier, fence, store, world, rootKey } = await open()
  const before = batch.seal(entry)
  await barrier.rotate(fence)
  const after = batch.seal(entry)
  const again = new BatchTokens(await openBarrier(store, world, rootKey), 'root/token/')
  for (const one of [batch, again]) assert.deepEqual([one.open(before), one.open(after)], [entry, entry])
})

test('batch token: of a server with other keys it is none, nor where the keys of its term are gone', async () => {
  const { batch } = await open()
  const other = await open(6)
  assert.equal(other.batch.open(batch.seal(entry)), null)
  await other.barrier.rotate(other.fence)
  const later = other.batch.seal(entry)
  assert.equal(batch.open(later), null)
})

test('batch token: nothing that was sealed for another place passes for one, nor the other way round', async () => {
  const { batch, barrier } = await open()
  const forge = (key: string): string =>
    `hvb.${Buffer.from(barrier.seal(key, Buffer.from(JSON.stringify([1])))).toString('base64url')}`
  assert.equal(batch.open(forge('root/logical/x/data')), null)
  assert.equal(new BatchTokens(barrier, 'other/token/').open(batch.seal(entry)), null)
  const sealed = Buffer.from(batch.seal(entry).slice(4), 'base64url')
  assert.throws(() => barrier.open('root/token/id/x', sealed), { name: 'BarrierError', code: 'damaged' })
})

test('batch token: changed in any character, cut, or written otherwise it is none', async () => {
  const { batch } = await open()
  const token = batch.seal(entry)
  for (let at = 4; at < token.length; at++) {
    const other = token[at] === 'A' ? 'B' : 'A'
    assert.equal(batch.open(token.slice(0, at) + other + token.slice(at + 1)), null, `at ${at}`)
  }
  for (const text of [
    '',
    'hvb.',
    token.slice(0, -1),
    `${token}A`,
    `${token}=`,
    ` ${token}`,
    `hvb.${'A'.repeat(9_000)}`,
  ])
    assert.equal(batch.open(text), null, text.slice(0, 20))
})

test('batch token: a sealed server opens none, and says so', async () => {
  const { batch, barrier }: { batch: BatchTokens; barrier: Barrier } = await open()
  const token = batch.seal(entry)
  barrier.close()
  assert.throws(() => batch.open(token), { name: 'BarrierError', code: 'sealed' })
})

test('batch token: one that no header would hold is refused, with how long it would be', async () => {
  const { batch } = await open()
  const metadata = { note: 'x'.repeat(7_000) }
  assert.throws(() => batch.seal({ ...entry, metadata }), {
    message:
      /^a batch token holds its policies and metadata itself: with these it would have \d+ characters, and 8000 fit/,
  })
})
