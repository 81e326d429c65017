import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simWorld } from '#ground/base/world.ts'
import type { AutoSeal } from '#core/seal/seal.ts'
import { staticSeal } from '#core/seal/static.ts'
import { shareTexts } from '#core/seal/unseal-key.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import type { Fence, Store } from '#stores/store.ts'
import type { InitialiseRequest } from './initialise.ts'
import { Unsealer } from './unsealer.ts'

type Lab = {
  world: ReturnType<typeof simWorld>
  store: Store
  fence: Fence
  node: (seal?: AutoSeal | null) => Unsealer
}

async function lab(): Promise<Lab> {
  const world = simWorld({ seed: 21 })
  const store = openMemoryStore()
  const fence = await store.campaign(world.signal)
  return { world, store, fence, node: (autoSeal = null) => new Unsealer({ store, world, autoSeal }) }
}

const secret = (shares: number, threshold: number): InitialiseRequest => ({
  secret: { shares, threshold },
  recovery: null,
})
const recovery = (shares: number, threshold: number): InitialiseRequest => ({
  secret: null,
  recovery: { shares, threshold },
})
const hex = (share: Uint8Array): string => shareTexts(share).hex
const failure = (code: string, message?: string): object => ({ name: 'SealError', code, ...(message && { message }) })

test('unsealer: before initialising all is zero, and it is sealed', async () => {
  const { node } = await lab()
  assert.deepEqual(await node().status(), {
    type: 'shamir',
    isInitialised: false,
    isSealed: true,
    threshold: 0,
    shares: 0,
    progress: 0,
    nonce: '',
    hasRecoverySeal: false,
  })
  await assert.rejects(node().submit('00'.repeat(33)), failure('not-initialised', 'Vault is not initialized'))
  await assert.rejects(node().reset(), failure('not-initialised'))
})

test('unsealer: three of five shares open what was sealed, after a restart', async () => {
  const { node, fence } = await lab()
  const first = node()
  const { keys, recoveryKeys } = await first.initialise(fence, secret(5, 3))
  assert.equal(recoveryKeys, null)
  assert.ok(keys.every(key => key.length === 33))
  const sealed = first.barrier!.seal('a', Buffer.from('x'))

  const second = node()
  const steps = []
  for (const key of [keys[4]!, keys[4]!, keys[0]!, keys[2]!]) {
    const { progress, isSealed, nonce } = await second.submit(hex(key))
    steps.push([progress, isSealed, nonce !== ''])
  }
  assert.deepEqual(steps, [
    [1, true, true],
    [1, true, true],
    [2, true, true],
    [0, false, false],
  ])
  assert.equal(Buffer.from(second.barrier!.open('a', sealed)).toString(), 'x')
  assert.equal((await second.submit('no key at all')).isSealed, false)
  await assert.rejects(second.reset(), failure('unsealed', 'vault is unsealed'))
})

test('unsealer: one share of one is the 32-byte key', async () => {
  const { node, fence } = await lab()
  const { keys } = await node().initialise(fence, secret(1, 1))
  assert.deepEqual(
    keys.map(key => key.length),
    [32],
  )
  assert.equal((await node().submit(shareTexts(keys[0]!).base64)).isSealed, false)
})

test('unsealer: a wrong set fails at the threshold only, and progress begins anew', async () => {
  const { node, fence } = await lab()
  const { keys } = await node().initialise(fence, secret(3, 2))
  const unsealer = node()
  assert.equal((await unsealer.submit(hex(keys[0]!))).progress, 1)
  const wrong = Uint8Array.from(keys[1]!)
  wrong[0]! ^= 1
  await assert.rejects(unsealer.submit(hex(wrong)), failure('wrong-key', 'unseal failed, invalid key'))
  assert.deepEqual([(await unsealer.status()).progress, unsealer.barrier], [0, null])
  await unsealer.submit(hex(keys[0]!))
  assert.equal((await unsealer.submit(hex(keys[1]!))).isSealed, false)
})

test('unsealer: reset forgets shares', async () => {
  const { node, fence } = await lab()
  const { keys } = await node().initialise(fence, secret(3, 2))
  const unsealer = node()
  await unsealer.submit(hex(keys[0]!))
  assert.equal((await unsealer.reset()).progress, 0)
})

test('unsealer: sealing closes the barrier that was handed out', async () => {
  const { node, fence } = await lab()
  const unsealer = node()
  const { barrier } = await unsealer.initialise(fence, secret(1, 1))
  unsealer.seal()
  assert.equal(barrier.isOpen, false)
  assert.equal((await unsealer.status()).isSealed, true)
})

for (const [rule, request, want] of [
  ['no shares', { secret: null, recovery: null }, 'invalid seal configuration: shares must be at least one'],
  [
    'a threshold of one of many',
    secret(5, 1),
    'invalid seal configuration: threshold must be greater than one for multiple shares',
  ],
  [
    'PGP keys for other shares',
    { ...secret(3, 2), pgpKeys: 2 },
    'invalid seal configuration: count mismatch between number of provided PGP keys and number of shares',
  ],
  [
    'recovery shares with Shamir',
    { secret: { shares: 1, threshold: 1 }, recovery: { shares: 1, threshold: 1 } },
    'parameters recovery_shares,recovery_threshold not applicable to seal type shamir',
  ],
] as const) {
  test(`initialise: ${rule} is refused, and nothing is written`, async () => {
    const { node, fence, store } = await lab()
    await assert.rejects(node().initialise(fence, request), failure('invalid-config', want))
    assert.deepEqual((await store.scan({ from: 'a', to: 'z' }, { limit: 10 })).entries, [])
  })
}

test('initialise: twice is refused, also at once', async () => {
  const { node, fence } = await lab()
  const unsealer = node()
  const results = await Promise.allSettled([1, 2].map(() => unsealer.initialise(fence, secret(1, 1))))
  assert.deepEqual(results.map(result => result.status).sort(), ['fulfilled', 'rejected'])
  await assert.rejects(
    unsealer.initialise(fence, secret(1, 1)),
    failure('already-initialised', 'Vault is already initialized'),
  )
})

test('initialise: what furnishes the server is in the same commit, or nothing is there', async () => {
  const { node, fence, store } = await lab()
  const broken = { ...secret(1, 1), furnish: () => Promise.reject(new Error('no')) }
  await assert.rejects(node().initialise(fence, broken), /no/)
  assert.deepEqual((await store.scan({ from: 'a', to: 'z' }, { limit: 10 })).entries, [])
  const before = await store.head()
  await node().initialise(fence, {
    ...secret(1, 1),
    furnish: async barrier => [{ key: 'core/mounts', value: barrier.seal('core/mounts', Buffer.from('m')) }],
  })
  assert.equal(await store.head(), before + 1)
  assert.notEqual(await store.get('core/mounts'), null)
})

test('auto-unseal: no keys are handed out, the recovery keys authorise and never unseal', async () => {
  const { node, fence, world } = await lab()
  const seal = staticSeal({
    current: { id: 'a', key: world.entropy.bytes(32) },
    previous: null,
    entropy: world.entropy,
  })
  const { keys, recoveryKeys } = await node(seal).initialise(fence, recovery(5, 3))
  assert.deepEqual([keys.length, recoveryKeys?.length], [0, 5])

  const unsealer = node(seal)
  const { type, threshold, shares, hasRecoverySeal, isSealed } = await unsealer.status()
  assert.deepEqual([type, threshold, shares, hasRecoverySeal, isSealed], ['static', 3, 5, true, true])
  await assert.rejects(unsealer.submit(hex(recoveryKeys![0]!)), failure('wrong-key'))
  assert.deepEqual(await unsealer.unsealByItself(), { isStale: false })
  assert.equal(await unsealer.authorises(recoveryKeys!.slice(0, 3)), true)
  assert.equal(await unsealer.authorises([world.entropy.bytes(32)]), false)
})

test('auto-unseal: without recovery shares there are none, and nobody is authorised', async () => {
  const { node, fence, world } = await lab()
  const seal = staticSeal({
    current: { id: 'a', key: world.entropy.bytes(32) },
    previous: null,
    entropy: world.entropy,
  })
  const unsealer = node(seal)
  const { recoveryKeys } = await unsealer.initialise(fence, { secret: null, recovery: null })
  assert.deepEqual(recoveryKeys, [])
  assert.equal(await unsealer.authorises([world.entropy.bytes(32)]), false)
  await assert.rejects(node(seal).initialise(fence, secret(1, 1)), failure('already-initialised'))
})

test('auto-unseal: a rotated seal key opens once more, and wraps the root key anew', async () => {
  const { node, fence, world } = await lab()
  const { entropy } = world
  const old = { id: 'old', key: entropy.bytes(32) }
  const current = { id: 'new', key: entropy.bytes(32) }
  await node(staticSeal({ current: old, previous: null, entropy })).initialise(fence, recovery(1, 1))
  const rotated = node(staticSeal({ current, previous: old, entropy }))
  assert.deepEqual(await rotated.unsealByItself(), { isStale: true })
  await rotated.rewrap(fence)
  assert.deepEqual(await node(staticSeal({ current, previous: null, entropy })).unsealByItself(), { isStale: false })
  await assert.rejects(
    node(staticSeal({ current: old, previous: null, entropy })).unsealByItself(),
    failure('wrong-key'),
  )
})

test('auto-unseal: storage under another kind of seal is refused', async () => {
  const { node, fence, world } = await lab()
  await node().initialise(fence, secret(1, 1))
  const seal = staticSeal({
    current: { id: 'a', key: world.entropy.bytes(32) },
    previous: null,
    entropy: world.entropy,
  })
  await assert.rejects(node(seal).unsealByItself(), failure('invalid-config'))
  await assert.rejects(node().unsealByItself(), failure('invalid-config'))
})

test('unsealer: with Shamir the unseal keys authorise, and their threshold is needed', async () => {
  const { node, fence } = await lab()
  const unsealer = node()
  const { keys } = await unsealer.initialise(fence, secret(3, 2))
  const copies = (count: number): Uint8Array[] => keys.slice(0, count).map(key => Uint8Array.from(key))
  assert.equal(await unsealer.authorises(copies(2)), true)
  assert.equal(await unsealer.authorises(copies(1)), false)
  assert.equal(await unsealer.authorises([keys[0]!, keys[0]!]), false)
})
