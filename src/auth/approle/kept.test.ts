import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MemoryMedium, openMemoryStore } from '#stores/memory/memory.ts'
import type { Store, StoreKey } from '#stores/store.ts'
import { authOf, Lab } from './approle.lab.ts'

/** The store as it is seen from outside: what it holds, what is read of it, and commits that fail. */
class Kept {
  medium!: MemoryMedium
  readonly read: StoreKey[] = []
  isBroken = false

  readonly store = (medium: MemoryMedium): Store => {
    this.medium = medium
    const store = openMemoryStore({ medium })
    return new Proxy(store, {
      get: (target, name) => {
        if (name === 'get') {
          return (key: StoreKey) => {
            this.read.push(key)
            return target.get(key)
          }
        }
        if (name === 'commit' && this.isBroken) return () => Promise.reject(new Error('the disk is full'))
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  get keys(): readonly StoreKey[] {
    return [...this.medium.from('' as StoreKey)]
  }

  ofSecretIds(): readonly StoreKey[] {
    return this.keys.filter(key => /^root\/auth\/[^/]+\/(secret-id|accessor)\//.test(key))
  }

  sizeOf(key: StoreKey): number {
    return this.medium.get(key)!.length
  }
}

test('approle: secret ids are nowhere in the store, and nowhere in the log', async () => {
  const kept = new Kept()
  const lines: string[] = []
  await using lab = await Lab.open({ store: kept.store, log: line => lines.push(line) })
  await lab.role('app')
  const { secret_id } = await lab.secretId('app')
  await lab.login({ role_id: 'nobody', secret_id })
  for (const key of kept.keys) {
    assert.ok(!key.includes(secret_id) && !Buffer.from(kept.medium.get(key)!).includes(secret_id), key)
  }
  assert.ok(!lines.join('').includes(secret_id))
})

test('approle: a role made anew has none of the secret ids of the one before, whose entries go', async () => {
  const kept = new Kept()
  await using lab = await Lab.open({ store: kept.store })
  await lab.role('app', { role_id: 'mine' })
  for (let i = 0; i < 5; i++) await lab.secretId('app')
  const { secret_id } = await lab.secretId('app')
  await lab.ask('DELETE', 'role/app')
  await lab.role('app', { role_id: 'mine' })
  assert.equal((await lab.login({ role_id: 'mine', secret_id })).status, 400)
  assert.equal((await lab.ask('LIST', 'role/app/secret-id')).status, 404)
  await lab.server.world.clock.advance(1000)
  assert.deepEqual(kept.ofSecretIds(), [])
})

test('approle: however many secret ids there are, no entry grows, and a login reads the same', async () => {
  const kept = new Kept()
  await using lab = await Lab.open({ store: kept.store })
  const role_id = await lab.role('app')
  const measure = async (): Promise<{ largest: number; reads: number }> => {
    const { secret_id, secret_id_accessor } = await lab.secretId('app', { num_uses: 5 })
    await lab.server.restart()
    kept.read.length = 0
    authOf(await lab.login({ role_id, secret_id }))
    await lab.post('role/app/secret-id-accessor/lookup', { secret_id_accessor })
    const reads = kept.read.filter(key => key.startsWith('root/auth/')).length
    await lab.post('role/app/secret-id/destroy', { secret_id })
    const own = kept.keys.filter(key => key.startsWith('root/auth/'))
    return { largest: Math.max(...own.map(key => kept.sizeOf(key))), reads }
  }
  const before = await measure()
  const made: string[] = []
  for (let i = 0; i < 2000; i++) made.push((await lab.secretId('app', { ttl: 3600 })).secret_id)
  assert.deepEqual(await measure(), before)
  assert.equal(kept.ofSecretIds().length, 4000)
  await Promise.all(made.map(secret_id => lab.post('role/app/secret-id/destroy', { secret_id })))
  assert.deepEqual(kept.ofSecretIds(), [])
})

test('approle: a wrong secret id and a role id that nobody has take the same reads', async () => {
  const kept = new Kept()
  await using lab = await Lab.open({ store: kept.store })
  const role_id = await lab.role('app')
  const counts: number[] = []
  for (const body of [
    { role_id, secret_id: 'wrong' },
    { role_id: 'nobody', secret_id: 'wrong' },
  ]) {
    await lab.server.restart()
    kept.read.length = 0
    assert.equal((await lab.login(body)).status, 400)
    counts.push(kept.read.length)
  }
  assert.equal(counts[0], counts[1])
  assert.ok(counts[0]! > 0)
})

test('approle: a login whose use can not be kept gives no token', async () => {
  const kept = new Kept()
  await using lab = await Lab.open({ store: kept.store })
  const role_id = await lab.role('app')
  const { secret_id } = await lab.secretId('app', { num_uses: 1 })
  kept.isBroken = true
  const answer = await lab.login({ role_id, secret_id })
  assert.deepEqual([answer.status, answer.errors], [500, ['internal error']])
  kept.isBroken = false
  await lab.server.restart()
  authOf(await lab.login({ role_id, secret_id }))
})

test('approle: a tidy removes a secret id whose alarm was lost', async () => {
  const kept = new Kept()
  await using lab = await Lab.open({ store: kept.store })
  await lab.role('app')
  await lab.secretId('app', { ttl: 60 })
  const { secret_id } = await lab.secretId('app', { ttl: 120 })
  const { keeper } = lab.server.house
  assert.equal(kept.keys.filter(key => key.startsWith('root/alarm/')).length, 2)
  await keeper.purge('root/alarm/')
  await lab.server.world.clock.advance(61_000)
  assert.equal(kept.ofSecretIds().length, 4)
  await lab.post('tidy/secret-id')
  await lab.server.world.clock.advance(0)
  assert.equal(kept.ofSecretIds().length, 2)
  assert.equal((await lab.post('role/app/secret-id/lookup', { secret_id })).status, 200)
})

test('approle: a role that is deleted while secret ids are made leaves none of them, after a restart neither', async () => {
  const kept = new Kept()
  await using lab = await Lab.open({ store: kept.store })
  await lab.role('app')
  const make = () => lab.post('role/app/secret-id')
  const answers = await Promise.all([make(), make(), lab.ask('DELETE', 'role/app'), make(), make()])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 204, 404, 404],
  )
  await lab.server.restart()
  await lab.server.world.clock.advance(1000)
  assert.deepEqual(kept.ofSecretIds(), [])
})
