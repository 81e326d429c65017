import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { kvV2 } from './engine.ts'

const open = async (): Promise<TestServer> => {
  const server = await openTestMount(kvV2, { path: 'secret/', options: { version: '2' } })
  for (const n of [1, 2, 3]) await server.ask('POST', 'secret/data/a', { body: { data: { n } } })
  return server
}
const post = (server: TestServer, path: string, versions: Json) =>
  server.ask('POST', `secret/${path}`, { body: { versions } })

/** Of each version: is it there (`1`), deleted (`d`), destroyed (`x`)? */
async function states(server: TestServer): Promise<string> {
  let shown = ''
  for (const version of [1, 2, 3]) {
    const { status, data } = await server.ask('GET', `secret/data/a?version=${version}`)
    const { metadata, data: value } = data as { metadata: Record<string, Json>; data: { n: number } | null }
    assert.equal(status, value === null ? 404 : 200)
    if (value !== null) assert.equal(value.n, version)
    shown += value !== null ? '1' : metadata['destroyed'] === true ? 'x' : 'd'
  }
  return shown
}

for (const [name, steps, want] of [
  ['a delete takes what is named', [['delete', [1, 3]]], 'd1d'],
  ['versions may be texts', [['delete', ['1', '2']]], 'dd1'],
  ['versions may be one text', [['delete', '1,2']], 'dd1'],
  ['versions may be one number', [['delete', 2]], '1d1'],
  ['unknown versions are passed over', [['delete', [2, 9, 0, -1]]], '1d1'],
  [
    'an undelete brings back',
    [
      ['delete', [1, 2, 3]],
      ['undelete', [1, 3]],
    ],
    '1d1',
  ],
  ['an undelete of what is there does nothing', [['undelete', [1]]], '111'],
  ['a destroy takes the current and older ones', [['destroy', [1, 3]]], 'x1x'],
  [
    'an undelete of what is destroyed does nothing',
    [
      ['destroy', [1, 3]],
      ['undelete', [1, 3]],
    ],
    'x1x',
  ],
  [
    'a delete of what is destroyed does nothing',
    [
      ['destroy', [2]],
      ['delete', [2]],
    ],
    '1x1',
  ],
  [
    'a destroy of what is deleted',
    [
      ['delete', [3]],
      ['destroy', [3]],
    ],
    '11x',
  ],
  [
    'twice is as once',
    [
      ['delete', [1]],
      ['delete', [1]],
      ['destroy', [2]],
      ['destroy', [2]],
    ],
    'dx1',
  ],
] as const) {
  test(`kv v2 versions: ${name}`, async () => {
    await using server = await open()
    for (const [path, versions] of steps) {
      const answer = await post(server, `${path}/a`, versions as Json)
      assert.deepEqual([answer.status, answer.body], [204, null])
    }
    assert.equal(await states(server), want)
    await server.restart()
    assert.equal(await states(server), want, 'after a restart')
  })
}

for (const [path, text] of [
  ['delete', 'No version number provided'],
  ['undelete', 'No version number provided'],
  ['destroy', 'no version number provided'],
] as const) {
  test(`kv v2 versions: ${path} without a number says "${text}"`, async () => {
    await using server = await open()
    for (const body of [{}, { versions: [] }, { versions: null }]) {
      const answer = await server.ask('POST', `secret/${path}/a`, { body })
      assert.deepEqual([answer.status, answer.errors], [400, [text]])
    }
    const word = await post(server, `${path}/a`, ['one'])
    assert.equal(word.status, 400)
    assert.match(word.errors.join(), /^Field validation failed: error converting input for field "versions": /)
    assert.equal((await post(server, `${path}/none`, [1])).status, 204, 'of a secret that is not there, nothing')
    assert.equal((await server.ask('GET', 'secret/metadata/none')).status, 404)
  })
}

test('kv v2 versions: a destroy leaves deletion_time as it was, and the metadata of the version', async () => {
  await using server = await open()
  const before = (await server.ask('GET', 'secret/metadata/a')).data as { versions: Record<string, Json> }
  await post(server, 'destroy/a', [2])
  const after = (await server.ask('GET', 'secret/metadata/a')).data as { versions: Record<string, Json> }
  assert.deepEqual(after.versions['2'], { ...(before.versions['2'] as object), destroyed: true })
  assert.deepEqual(after.versions['1'], before.versions['1'])
})

test('kv v2 versions: destroy takes POST and PUT, and delete by path takes the current version alone', async () => {
  await using server = await open()
  assert.equal((await server.ask('PUT', 'secret/destroy/a', { body: { versions: [1] } })).status, 204)
  assert.equal((await server.ask('DELETE', 'secret/data/a')).status, 204)
  assert.equal(await states(server), 'x1d')
})

test('kv v2 versions: a write after the current one was destroyed becomes the next number', async () => {
  await using server = await open()
  await post(server, 'destroy/a', [3])
  const answer = await server.ask('POST', 'secret/data/a', { body: { data: { n: 4 }, options: { cas: 3 } } })
  assert.deepEqual([answer.status, (answer.data as { version: number }).version], [200, 4])
  assert.equal(await states(server), '11x')
})

test('kv v2 versions: a destroyed value is in no entry of the store any more', async () => {
  await using server = await open()
  await post(server, 'destroy/a', [1, 2, 3])
  await server.restart()
  assert.equal(await states(server), 'xxx')
  await post(server, 'undelete/a', [1, 2, 3])
  assert.equal(await states(server), 'xxx')
})

test('kv v2 versions: policies guard each way apart', async () => {
  await using server = await open()
  for (const path of ['delete', 'undelete', 'destroy']) {
    const token = await server.tokenWith(`path "secret/${path}/*" { capabilities = ["update"] }`)
    for (const other of ['delete', 'undelete', 'destroy']) {
      const { status } = await server.ask('POST', `secret/${other}/a`, { body: { versions: [9] }, token })
      assert.equal(status, other === path ? 204 : 403, `${other} with a policy for ${path}`)
    }
  }
})

test('kv v2 subkeys: names without values, whatever the values are', async () => {
  await using server = await open()
  const data = { a: 'secret', list: [{ b: 1 }], none: {}, deep: { x: { y: { z: 1 } } }, n: 5, nil: null }
  await server.ask('POST', 'secret/data/s', { body: { data } })
  for (const [query, want] of [
    ['', { a: null, list: null, none: null, deep: { x: { y: { z: null } } }, n: null, nil: null }],
    ['?depth=0', { a: null, list: null, none: null, deep: { x: { y: { z: null } } }, n: null, nil: null }],
    ['?depth=1', { a: null, list: null, none: null, deep: null, n: null, nil: null }],
    ['?depth=2', { a: null, list: null, none: null, deep: { x: null }, n: null, nil: null }],
  ] as const) {
    const answer = await server.ask('GET', `secret/subkeys/s${query}`)
    assert.deepEqual((answer.data as { subkeys: Json }).subkeys, want, query)
    assert.ok(!answer.text.includes('"secret"'))
  }
})

test('kv v2 subkeys: versions, deleted and absent ones are told as by a read', async () => {
  await using server = await open()
  const one = (await server.ask('GET', 'secret/subkeys/a?version=1')).data as Record<string, Json>
  const read = (await server.ask('GET', 'secret/data/a?version=1')).data as { metadata: Json }
  assert.deepEqual(one, { subkeys: { n: null }, metadata: read.metadata })
  await server.ask('DELETE', 'secret/data/a')
  const deleted = await server.ask('GET', 'secret/subkeys/a')
  const { subkeys, metadata } = deleted.data as { subkeys: Json; metadata: { version: number } }
  assert.deepEqual([deleted.status, subkeys, metadata.version], [404, null, 3])
  const absent = await server.ask('GET', 'secret/subkeys/none')
  assert.deepEqual([absent.status, absent.body], [404, { errors: [] }])
})

test('kv v2: 10,000 versions of a secret are kept, and each can be read, deleted and destroyed', async () => {
  await using server = await openTestMount(kvV2, { path: 'secret/', options: { version: '2' } })
  await server.ask('POST', 'secret/metadata/a', { body: { max_versions: 10_000 } })
  for (let n = 1; n <= 10_001; n++) await server.ask('POST', 'secret/data/a', { body: { data: { n } } })
  await server.ask('POST', 'secret/delete/a', { body: { versions: [5_000] } })
  await server.ask('POST', 'secret/destroy/a', { body: { versions: [9_999] } })
  await server.restart()
  const read = async (version: number): Promise<readonly [number, Json]> => {
    const { status, data } = await server.ask('GET', `secret/data/a?version=${version}`)
    return [status, (data as { data: Json } | null)?.data ?? null]
  }
  assert.deepEqual(await read(1), [404, null], 'the oldest went')
  assert.deepEqual(await read(2), [200, { n: 2 }])
  assert.deepEqual(await read(5_000), [404, null])
  assert.deepEqual(await read(9_999), [404, null])
  assert.deepEqual(await read(10_001), [200, { n: 10_001 }])
  await server.ask('POST', 'secret/undelete/a', { body: { versions: [5_000, 9_999] } })
  assert.deepEqual(await read(5_000), [200, { n: 5_000 }])
  assert.deepEqual(await read(9_999), [404, null], 'what is destroyed stays so')
  const { data } = await server.ask('GET', 'secret/metadata/a')
  const { versions, oldest_version: oldest } = data as { versions: object; oldest_version: number }
  assert.deepEqual([Object.keys(versions).length, oldest], [10_000, 2])
})
