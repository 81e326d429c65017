import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { kvV2 } from './engine.ts'

const open = (): Promise<TestServer> => openTestMount(kvV2, { path: 'secret/', options: { version: '2' } })
const put = (server: TestServer, path: string, data: Json, options?: Json): Promise<TestAnswer> =>
  server.ask('POST', `secret/data/${path}`, { body: { data, ...(options !== undefined && { options }) } })
const patch = (server: TestServer, path: string, body: Json): Promise<TestAnswer> =>
  server.ask('PATCH', `secret/data/${path}`, { body, headers: { 'content-type': 'application/merge-patch+json' } })
const get = (server: TestServer, path: string): Promise<TestAnswer> => server.ask('GET', `secret/data/${path}`)

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const notFound = [404, { errors: [] }]

test('kv v2: a write answers with the five members of its version, a read with them beside the data', async () => {
  await using server = await open()
  const written = await put(server, 'app', { user: 'ada', n: 5 })
  assert.equal(written.status, 200)
  const { created_time: created, ...rest } = written.data as Record<string, Json>
  assert.match(created as string, time)
  assert.deepEqual(rest, { custom_metadata: null, deletion_time: '', destroyed: false, version: 1 })
  const answer = await get(server, 'app')
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.data, { data: { user: 'ada', n: 5 }, metadata: written.data })
  assert.deepEqual(answer.headers.get('content-type'), 'application/json')
})

test('kv v2: versions count from 1, and each that is kept can be read by number', async () => {
  await using server = await open()
  for (const n of [1, 2, 3]) assert.equal(((await put(server, 'a', { n })).data as { version: number }).version, n)
  for (const [query, want] of [
    ['', 3],
    ['?version=0', 3],
    ['?version=-1', 3],
    ['?version=1', 1],
    ['?version=2', 2],
    ['?version=3', 3],
  ] as const) {
    const { data } = (await get(server, `a${query}`)).data as { data: { n: number } }
    assert.equal(data.n, want, query)
  }
  const none = await get(server, 'a?version=4')
  assert.deepEqual([none.status, none.body], notFound)
})

for (const [name, cas, want] of [
  ['the current version', 2, 200],
  ['it as text', '2', 200],
  ['it in hexadecimal text', '0x2', 200],
  ['an older version', 1, 'check-and-set parameter did not match the current version'],
  ['a later version', 3, 'check-and-set parameter did not match the current version'],
  ['0 where there is one', 0, 'check-and-set parameter did not match the current version'],
  ['null, which is 0', null, 'check-and-set parameter did not match the current version'],
  ['no text, which is 0', '', 'check-and-set parameter did not match the current version'],
  ['true, which is 1', true, 'check-and-set parameter did not match the current version'],
  ['a negative number', -2, 'check-and-set parameter did not match the current version'],
  ['a word', 'two', 'error parsing check-and-set parameter'],
  ['text with blanks', ' 2 ', 'error parsing check-and-set parameter'],
  ['text with an exponent', '2e0', 'error parsing check-and-set parameter'],
  ['a fraction', 2.5, 'error parsing check-and-set parameter'],
  ['a list', [], 'error parsing check-and-set parameter'],
  ['a list that holds it', [2], 'error parsing check-and-set parameter'],
  ['an object', {}, 'error parsing check-and-set parameter'],
] as const) {
  test(`kv v2: cas with ${name}`, async () => {
    await using server = await open()
    await put(server, 'a', { n: 1 })
    await put(server, 'a', { n: 2 })
    for (const answer of [
      await patch(server, 'a', { data: { n: 3 }, options: { cas } }),
      await put(server, 'a', { n: 3 }, { cas: want === 200 ? 3 : cas }),
    ]) {
      if (want === 200) assert.equal(answer.status, 200)
      else assert.deepEqual([answer.status, answer.errors], [400, [want]])
    }
    const { metadata } = (await get(server, 'a')).data as { metadata: { version: number } }
    assert.equal(metadata.version, want === 200 ? 4 : 2)
  })
}

test('kv v2: cas of 0 makes a secret only where none is', async () => {
  await using server = await open()
  assert.equal((await put(server, 'a', { n: 1 }, { cas: 0 })).status, 200)
  assert.equal((await put(server, 'a', { n: 2 }, { cas: 0 })).status, 400)
  assert.equal((await put(server, 'b', { n: 1 }, { cas: 1 })).status, 400)
  assert.deepEqual((await get(server, 'b')).status, 404, 'nothing was made')
})

test('kv v2: cas of 0 passes where only metadata is', async () => {
  await using server = await open()
  await server.ask('POST', 'secret/metadata/pushed', { body: { custom_metadata: { owner: 'eso' } } })
  const answer = await put(server, 'pushed', { n: 1 }, { cas: 0 })
  assert.equal(answer.status, 200)
  const { version, custom_metadata: custom } = answer.data as Record<string, Json>
  assert.deepEqual([version, custom], [1, { owner: 'eso' }])
})

test('kv v2: of two writes at once with one cas, one wins', async () => {
  await using server = await open()
  await put(server, 'a', { n: 0 })
  const answers = await Promise.all([1, 2, 3, 4].map(n => put(server, 'a', { n }, { cas: 1 })))
  assert.deepEqual(
    answers.map(one => one.status).sort((a, b) => a - b),
    [200, 400, 400, 400],
  )
  const lost = answers.filter(one => one.status === 400)
  for (const { errors } of lost) {
    assert.deepEqual(errors, ['check-and-set parameter did not match the current version'])
  }
  const read = (await get(server, 'a')).data as { data: { n: number }; metadata: { version: number } }
  assert.equal(read.metadata.version, 2)
  assert.equal(answers[read.data.n - 1]!.status, 200, 'what is kept is of the one that won')
})

test('kv v2: writes at once without cas all become versions', async () => {
  await using server = await open()
  const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => put(server, 'a', { n })))
  const versions = answers.map(one => (one.data as { version: number }).version).sort((a, b) => a - b)
  assert.deepEqual(versions, [1, 2, 3, 4, 5, 6, 7, 8])
  for (const answer of answers) {
    const { version } = answer.data as { version: number }
    const { data } = (await get(server, `a?version=${version}`)).data as { data: { n: number } }
    assert.equal(data.n, answers.indexOf(answer), 'the version holds what its writer sent')
  }
})

for (const [where, path] of [
  ['mount', 'secret/config'],
  ['secret', 'secret/metadata/a'],
] as const) {
  test(`kv v2: cas_required of the ${where} refuses a write without cas`, async () => {
    await using server = await open()
    await put(server, 'a', { n: 1 })
    assert.equal((await server.ask('POST', path, { body: { cas_required: true } })).status, 204)
    for (const answer of [
      await put(server, 'a', { n: 2 }),
      await put(server, 'a', { n: 2 }, {}),
      await patch(server, 'a', { data: { n: 2 } }),
    ]) {
      assert.deepEqual([answer.status, answer.errors], [400, ['check-and-set parameter required for this call']])
    }
    assert.equal((await put(server, 'a', { n: 2 }, { cas: 1 })).status, 200)
  })
}

for (const [name, body, want] of [
  ['no data', {}, 'no data provided'],
  ['data that is null', { data: null }, 'no data provided'],
  ['data that is text', { data: 'x' }, /^Field validation failed: error converting input for field "data": /],
  ['data that is a list', { data: [] }, /^Field validation failed: error converting input for field "data": /],
  ['options that are no object', { data: {}, options: 'cas' }, /^Field validation failed: .* field "options": /],
] as const) {
  test(`kv v2: a write is refused for ${name}`, async () => {
    await using server = await open()
    await put(server, 'a', { n: 1 })
    for (const answer of [
      await server.ask('POST', 'secret/data/a', { body }),
      await server.ask('PUT', 'secret/data/a', { body }),
      await patch(server, 'a', body),
    ]) {
      assert.equal(answer.status, 400)
      if (typeof want === 'string') assert.deepEqual(answer.errors, [want])
      else assert.match(answer.errors.join(), want)
    }
    assert.equal(((await get(server, 'a')).data as { metadata: { version: number } }).metadata.version, 1)
  })
}

test('kv v2: an empty object is a secret, and null is a value', async () => {
  await using server = await open()
  for (const data of [{}, { a: null }, { a: { b: [] } }]) {
    await put(server, 'a', data)
    assert.deepEqual(((await get(server, 'a')).data as { data: Json }).data, data)
  }
})

test('kv v2: what a write names besides is ignored with a warning, but for hvac, which always sends options', async () => {
  await using server = await open()
  const strange = await server.ask('POST', 'secret/data/a', { body: { data: {}, ttl: '1h', path: 'b' } })
  assert.deepEqual((strange.body as { warnings: string[] }).warnings, [
    'Endpoint ignored these unrecognized parameters: [ttl]',
    "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [path]",
  ])
  const usual = await put(server, 'a', {}, {})
  assert.equal((usual.body as { warnings: null }).warnings, null)
})

test('kv v2: a patch merges, null removes, and it becomes a version', async () => {
  await using server = await open()
  await put(server, 'a', { keep: 1, gone: 2, deep: { x: 1, y: 2 } })
  const answer = await patch(server, 'a', { data: { gone: null, deep: { y: 3, z: null }, more: 'new' } })
  assert.deepEqual([answer.status, (answer.data as { version: number }).version], [200, 2])
  const { data } = (await get(server, 'a')).data as { data: Json }
  assert.deepEqual(data, { keep: 1, deep: { x: 1, y: 3 }, more: 'new' })
  const before = (await get(server, 'a?version=1')).data as { data: Json }
  assert.deepEqual(before.data, { keep: 1, gone: 2, deep: { x: 1, y: 2 } })
})

test('kv v2: a patch wants the type of merge patches, and 404 where nothing is', async () => {
  await using server = await open()
  const json = await server.ask('PATCH', 'secret/data/a', {
    body: { data: {} },
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(json.status, 415)
  const missing = await patch(server, 'a', { data: { n: 1 } })
  assert.deepEqual([missing.status, missing.data], [404, null])
  await server.ask('POST', 'secret/metadata/a', { body: { max_versions: 3 } })
  assert.equal((await patch(server, 'a', { data: { n: 1 } })).status, 404, 'metadata alone is nothing to patch')
  const cas = await patch(server, 'a', { data: { n: 1 }, options: { cas: 4 } })
  assert.equal(cas.status, 400, 'cas is looked at first')
})

test('kv v2: a patch of what was deleted or destroyed is 404 with the version in data', async () => {
  await using server = await open()
  await put(server, 'a', { n: 1 })
  await server.ask('DELETE', 'secret/data/a')
  const deleted = await patch(server, 'a', { data: { n: 2 } })
  const { version, destroyed, deletion_time: at } = deleted.data as Record<string, Json>
  assert.deepEqual([deleted.status, version, destroyed], [404, 1, false])
  assert.match(at as string, time)
  await server.ask('POST', 'secret/destroy/a', { body: { versions: [1] } })
  const gone = await patch(server, 'a', { data: { n: 2 } })
  assert.deepEqual([gone.status, (gone.data as { destroyed: boolean }).destroyed], [404, true])
})

test('kv v2: a deleted version is 404 with its metadata, an absent secret is 404 without', async () => {
  await using server = await open()
  await put(server, 'a', { n: 1 })
  const removed = await server.ask('DELETE', 'secret/data/a')
  assert.deepEqual([removed.status, removed.body], [204, null])
  const answer = await get(server, 'a')
  assert.equal(answer.status, 404)
  const { data, metadata } = answer.data as { data: Json; metadata: Record<string, Json> }
  assert.equal(data, null)
  assert.deepEqual([metadata['version'], metadata['destroyed'], metadata['custom_metadata']], [1, false, null])
  assert.match(metadata['deletion_time'] as string, time)
  assert.ok('request_id' in (answer.body as object), 'in the normal envelope')
  const absent = await get(server, 'b')
  assert.deepEqual([absent.status, absent.body], notFound)
  await server.ask('POST', 'secret/metadata/b', { body: { max_versions: 2 } })
  const bare = await get(server, 'b')
  assert.deepEqual([bare.status, bare.body], notFound)
})

test('kv v2: deleting what is not there, or is deleted, is 204 and changes nothing', async () => {
  await using server = await open()
  assert.equal((await server.ask('DELETE', 'secret/data/none')).status, 204)
  assert.equal((await server.ask('GET', 'secret/metadata/none')).status, 404)
  await put(server, 'a', { n: 1 })
  await server.ask('DELETE', 'secret/data/a')
  const before = (await server.ask('GET', 'secret/metadata/a')).data
  await server.world.clock.advance(5_000)
  assert.equal((await server.ask('DELETE', 'secret/data/a')).status, 204)
  assert.deepEqual((await server.ask('GET', 'secret/metadata/a')).data, before)
  assert.equal(((await put(server, 'a', { n: 2 })).data as { version: number }).version, 2)
  assert.equal((await get(server, 'a')).status, 200, 'a new version is not deleted')
})

test('kv v2: policies tell a create from an update', async () => {
  await using server = await open()
  const tokens: Record<string, string> = {}
  for (const capability of ['create', 'update', 'patch', 'read']) {
    tokens[capability] = await server.tokenWith(`path "secret/data/*" { capabilities = ["${capability}"] }`)
  }
  const as = (capability: string, path: string): Promise<TestAnswer> =>
    server.ask('POST', `secret/data/${path}`, { body: { data: {} }, token: tokens[capability]! })
  assert.equal((await as('update', 'new')).status, 403)
  assert.equal((await as('create', 'new')).status, 200)
  assert.equal((await as('create', 'new')).status, 403)
  assert.equal((await as('update', 'new')).status, 200)
  for (const other of ['patch', 'read']) assert.equal((await as(other, 'new')).status, 403)
  await server.ask('DELETE', 'secret/data/new')
  assert.equal((await as('create', 'new')).status, 403, 'a deleted version is still a secret that is there')
})

test('kv v2: numbers keep what they were written as', async () => {
  await using server = await open()
  const data = '{"big":12345678901234567890,"exact":1.10,"large":1e400,"small":-0.0}'
  assert.equal((await server.ask('POST', 'secret/data/a', { text: `{"data":${data}}` })).status, 200)
  assert.ok((await get(server, 'a')).text.includes(`"data":${data}`))
  await patch(server, 'a', { data: { more: 1 } })
  const merged = data.replace('"small"', '"more":1,"small"')
  assert.ok((await get(server, 'a')).text.includes(`"data":${merged}`), 'and a patch does not touch them')
})

test('kv v2: secrets are there after a restart, with all their versions', async () => {
  await using server = await open()
  for (const n of [1, 2, 3]) await put(server, 'a/b', { n })
  await server.ask('POST', 'secret/metadata/a/b', { body: { custom_metadata: { k: 'v' }, max_versions: 5 } })
  await server.ask('POST', 'secret/config', { body: { max_versions: 7, delete_version_after: '1h' } })
  await server.ask('POST', 'secret/delete/a/b', { body: { versions: [1] } })
  const paths = ['data/a/b', 'data/a/b?version=1', 'data/a/b?version=2', 'metadata/a/b', 'config']
  const look = async (): Promise<Json[]> => {
    const answers = []
    for (const path of paths) answers.push((await server.ask('GET', `secret/${path}`)).data)
    return answers
  }
  const before = await look()
  await server.restart()
  assert.deepEqual(await look(), before)
})

test('kv v2: paths that it does not have answer 404 with a warning', async () => {
  await using server = await open()
  for (const [method, path, verb] of [
    ['GET', 'secret/foo', 'get'],
    ['POST', 'secret/foo', 'put'],
    ['DELETE', 'secret/foo', 'delete'],
    ['LIST', 'secret/foo', 'list'],
    ['GET', 'secret/dataa/foo', 'get'],
  ] as const) {
    const answer = await server.ask(method, path, method === 'POST' ? { body: {} } : {})
    const { warnings } = answer.body as { warnings: string[] }
    const hint = `If using the Vault CLI, use 'vault kv ${verb}' for this operation.`
    assert.equal(answer.status, 404, `${method} ${path}`)
    assert.match(warnings.join(), /^Invalid path for a versioned K\/V secrets engine\. /)
    assert.ok(warnings.join().endsWith(hint), `${method} ${path}: ${warnings.join()}`)
  }
  for (const path of ['secret/data', 'secret/data/']) {
    const root = await server.ask('GET', path)
    assert.equal(root.status, 404)
    assert.deepEqual((root.body as { warnings: string[] }).warnings, [
      'Non-listing operations on the root of a K/V v2 mount are not supported.',
    ])
  }
  for (const path of ['secret/data/', 'secret/metadata/']) {
    const nameless = await server.ask('POST', path, { body: { data: {}, max_versions: 1 } })
    assert.deepEqual([nameless.status, nameless.errors], [400, ["cannot write to a path ending in '/'"]], path)
  }
})
