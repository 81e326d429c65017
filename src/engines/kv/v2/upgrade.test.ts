import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Json, RawJson } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestMountOptions, type TestServer } from '#core/testing/mount.ts'
import { type FaultyStore, faultyStore } from '#stores/faulty/faulty.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import { kvV1 } from '../v1/engine.ts'
import { kvV2 } from './engine.ts'

type Options = Parameters<typeof openTestMount>[1] & TestMountOptions

const open = (options: Options = {}): Promise<TestServer> =>
  openTestMount(kvV1, { path: 'kv/', others: [kvV2], ...options })

const tune = (server: TestServer): Promise<TestAnswer> =>
  server.ask('POST', 'sys/mounts/kv/tune', { body: { options: { version: '2' } } })
const value = async (server: TestServer, path: string): Promise<Json> =>
  ((await server.ask('GET', `kv/data/${path}`)).data as { data: Json } | null)?.data ?? null
const list = async (server: TestServer, folder: string): Promise<Json> =>
  ((await server.ask('LIST', `kv/metadata/${folder}`)).data as { keys: Json } | null)?.keys ?? null

async function fill(server: TestServer, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    assert.equal((await server.ask('POST', `kv/app/${n}`, { body: { n: String(n) } })).status, 204)
  }
}

test('kv upgrade: each secret becomes version 1 of its path, as it was written', async () => {
  await using server = await open()
  await server.ask('POST', 'kv/a', { body: new RawJson('{"n":12345678901234567890,"ttl":"1h","x":1.50}') })
  await server.ask('POST', 'kv/a/b/c d', { body: { q: '<&>' } })
  assert.equal((await tune(server)).status, 204)
  assert.match((await server.ask('GET', 'kv/data/a')).text, /"data":\{"n":12345678901234567890,"ttl":"1h","x":1\.50\}/)
  assert.deepEqual(await value(server, 'a/b/c d'), { q: '<&>' })
  const metadata = (await server.ask('GET', 'kv/metadata/a')).data as Record<string, Json>
  assert.deepEqual([metadata['current_version'], metadata['oldest_version']], [1, 1])
  assert.deepEqual(await list(server, ''), ['a', 'a/'])
  assert.deepEqual(await list(server, 'a/b/'), ['c d'])
  const mount = (await server.ask('GET', 'sys/internal/ui/mounts/kv/a')).data as { options: Json }
  assert.deepEqual(mount.options, { version: '2' })
})

test('kv upgrade: a path is served before the others are moved, and a write to it is version 2', async () => {
  await using server = await open()
  await fill(server, 40)
  assert.equal((await tune(server)).status, 204)
  assert.deepEqual(await value(server, 'app/39'), { n: '39' })
  const written = await server.ask('POST', 'kv/data/app/38', { body: { data: { n: 'new' }, options: { cas: 1 } } })
  assert.equal((written.data as { version: number }).version, 2)
  const names = (await list(server, 'app/')) as string[]
  assert.equal(names.length, 40, 'a list has them all')
  assert.deepEqual(await value(server, 'app/38'), { n: 'new' })
})

test('kv upgrade: a write to a secret that is not moved yet is an update, and no create', async () => {
  await using server = await open()
  await fill(server, 3)
  const token = await server.tokenWith('path "kv/data/*" { capabilities = ["create", "read"] }')
  await tune(server)
  const answer = await server.ask('POST', 'kv/data/app/2', { body: { data: {} }, token })
  assert.equal(answer.status, 403)
})

test('kv upgrade: what was written while the mount changed is kept', async () => {
  await using server = await open()
  await fill(server, 2)
  const late = [1, 2, 3].map(n => server.ask('POST', `kv/late/${n}`, { body: { n } }))
  const [tuned, ...written] = await Promise.all([tune(server), ...late])
  assert.deepEqual([tuned.status, ...written.map(one => one.status)], [204, 204, 204, 204])
  await list(server, '')
  for (const n of [1, 2, 3]) assert.deepEqual(await value(server, `late/${n}`), { n })
})

test('kv upgrade: names with every character, and values of many parts, stay whole', async () => {
  await using server = await open()
  const names = ['ä/鍵', 'a b', 'quote\'"`', '%25', 'a+b', 'a.b/..c', 'emoji-😀', '~!@#$^&*()']
  const long = Array.from({ length: 4 }, () => 'x'.repeat(700_000))
  for (const name of names) {
    const path = name.split('/').map(encodeURIComponent).join('/')
    assert.equal((await server.ask('POST', `kv/${path}`, { body: { long, name } })).status, 204, name)
  }
  await tune(server)
  await server.restart()
  const keys = ((await server.ask('SCAN', 'kv/metadata/')).data as { keys: string[] }).keys
  assert.deepEqual(
    [...keys].sort((a, b) => (a < b ? -1 : 1)),
    [...names].sort((a, b) => (a < b ? -1 : 1)),
  )
  for (const name of names) {
    const path = name.split('/').map(encodeURIComponent).join('/')
    assert.deepEqual(await value(server, path), { long, name })
  }
})

test('kv upgrade: a restart in the middle goes on', async () => {
  await using server = await open()
  await fill(server, 30)
  await tune(server)
  await server.restart()
  assert.deepEqual(((await list(server, 'app/')) as string[]).length, 30)
  for (let n = 0; n < 30; n++) assert.deepEqual(await value(server, `app/${n}`), { n: String(n) })
})

test('kv upgrade: who lists waits for the end, and is told when that takes long', async () => {
  const plan = { call: 'commit' as const, at: Number.POSITIVE_INFINITY, isApplied: false }
  let faulty: FaultyStore | undefined
  await using server = await open({
    store(medium) {
      faulty = faultyStore(openMemoryStore({ medium }), plan)
      return faulty
    },
  })
  await fill(server, 3)
  // The first is the mount's own.
  plan.at = faulty!.commits + 2
  await tune(server)
  const listed = server.ask('LIST', 'kv/metadata/')
  await server.world.clock.advance(30_000)
  const { status, errors } = await listed
  assert.equal(status, 400)
  assert.match(errors[0]!, /^Upgrading from non-versioned to versioned data\./)
})

for (const isApplied of [false, true]) {
  test(`kv upgrade: whichever commit fails, each secret is there once: ${isApplied ? 'written' : 'not written'}`, async () => {
    const secrets = 4
    let hasFailed = true
    for (let n = 1; hasFailed; n++) {
      const plan = { call: 'commit' as const, at: Number.POSITIVE_INFINITY, isApplied }
      let faulty: FaultyStore | undefined
      await using server = await open({
        store(medium) {
          const store = openMemoryStore({ medium })
          if (faulty !== undefined) return store
          faulty = faultyStore(store, plan)
          return faulty
        },
      })
      await fill(server, secrets)
      plan.at = faulty!.commits + n
      await tune(server)
      const listed = list(server, '')
      await server.world.clock.advance(30_000)
      await listed
      hasFailed = faulty!.hasFailed
      await server.restart()
      const mount = (await server.ask('GET', 'sys/mounts/kv')).data as { options: { version?: string } | null }
      if (mount.options?.version !== '2') assert.equal((await tune(server)).status, 204)
      assert.deepEqual(await list(server, 'app/'), ['0', '1', '2', '3'])
      for (let name = 0; name < secrets; name++) {
        const { data } = await server.ask('GET', `kv/metadata/app/${name}`)
        assert.equal((data as { current_version: number }).current_version, 1, `commit ${n}, secret ${name}`)
        assert.deepEqual(await value(server, `app/${name}`), { n: String(name) })
      }
      assert.ok(n < 100, 'an upgrade has an end')
      assert.ok(hasFailed || n > 2 * secrets, 'a commit for the mount and two for each secret')
    }
  })
}

for (const [what, type, sent, problem] of [
  ['back to version 1', 'kv-v2', '1', 'cannot downgrade mount from version 2'],
  ['a version that there is not', 'kv', '3', /^plugin not found in the catalog: kv with options \{"version":"3"\}$/],
] as const) {
  test(`kv upgrade: ${what} is refused`, async () => {
    await using server = await open()
    await server.ask('POST', 'sys/mounts/two', { body: { type } })
    const { status, errors } = await server.ask('POST', 'sys/mounts/two/tune', { body: { options: { version: sent } } })
    assert.equal(status, 400)
    if (typeof problem === 'string') assert.equal(errors[0], problem)
    else assert.match(errors[0]!, problem)
  })
}
