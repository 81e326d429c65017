import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { kvV2 } from './engine.ts'

const open = (): Promise<TestServer> => openTestMount(kvV2, { path: 'secret/', options: { version: '2' } })
const put = (server: TestServer, path: string, data: Json = {}): Promise<TestAnswer> =>
  server.ask('POST', `secret/data/${path}`, { body: { data } })
const write = (server: TestServer, path: string, body: Json): Promise<TestAnswer> =>
  server.ask('POST', `secret/metadata/${path}`, { body })
const patch = (server: TestServer, path: string, body: Json): Promise<TestAnswer> =>
  server.ask('PATCH', `secret/metadata/${path}`, { body, headers: { 'content-type': 'application/merge-patch+json' } })
const config = async (server: TestServer, body: Json): Promise<void> => {
  assert.equal((await server.ask('POST', 'secret/config', { body })).status, 204)
}

type Metadata = Record<string, Json> & { versions: Record<string, Record<string, Json>> }
const metadata = async (server: TestServer, path: string): Promise<Metadata> =>
  (await server.ask('GET', `secret/metadata/${path}`)).data as Metadata

test('kv v2: metadata has its twelve members, and each version its three', async () => {
  await using server = await open()
  await put(server, 'a')
  const { created_time: created, updated_time: updated, versions, ...rest } = await metadata(server, 'a')
  assert.deepEqual(rest, {
    cas_required: false,
    current_metadata_version: 0,
    current_version: 1,
    custom_metadata: null,
    delete_version_after: '0s',
    max_versions: 0,
    metadata_cas_required: false,
    oldest_version: 1,
  })
  assert.deepEqual(versions, { '1': { created_time: created, deletion_time: '', destroyed: false } })
  assert.equal(updated, created)
})

test('kv v2: settings of a mount are as they were before anybody set them', async () => {
  await using server = await open()
  const answer = await server.ask('GET', 'secret/config')
  assert.deepEqual(answer.data, {
    max_versions: 0,
    cas_required: false,
    delete_version_after: '0s',
    metadata_cas_required: false,
  })
})

test('kv v2: a write of settings changes what was sent and leaves the rest', async () => {
  await using server = await open()
  for (const [sent, want] of [
    [{ max_versions: 4 }, { max_versions: 4, cas_required: false, delete_version_after: '0s' }],
    [{ cas_required: 'true' }, { max_versions: 4, cas_required: true, delete_version_after: '0s' }],
    [{ delete_version_after: '90m' }, { max_versions: 4, cas_required: true, delete_version_after: '1h30m0s' }],
    [{ delete_version_after: 5 }, { max_versions: 4, cas_required: true, delete_version_after: '5s' }],
    [{}, { max_versions: 4, cas_required: true, delete_version_after: '5s' }],
    [
      { max_versions: '0', cas_required: false },
      { max_versions: 0, cas_required: false, delete_version_after: '5s' },
    ],
    [{ delete_version_after: 0 }, { max_versions: 0, cas_required: false, delete_version_after: '0s' }],
  ] as const) {
    await config(server, sent)
    const shown = (await server.ask('GET', 'secret/config')).data as object
    assert.deepEqual(shown, { ...want, metadata_cas_required: false }, JSON.stringify(sent))
  }
})

for (const [name, path, body, want] of [
  ['a negative max_versions', 'config', { max_versions: -1 }, /^max_versions cannot be negative$/],
  ['a negative max_versions', 'metadata/a', { max_versions: -1 }, /^max_versions cannot be negative$/],
  ['max_versions that is a word', 'config', { max_versions: 'many' }, /^Field validation failed: .*"max_versions"/],
  [
    'cas_required that is a word',
    'metadata/a',
    { cas_required: 'maybe' },
    /^Field validation failed: .*"cas_required"/,
  ],
  [
    'a negative delete_version_after',
    'metadata/a',
    { delete_version_after: '-1s' },
    /^Field validation failed: error converting input for field "delete_version_after": cannot provide negative value/,
  ],
  [
    'a span that is none',
    'config',
    { delete_version_after: 'soon' },
    /^Field validation failed: .*"delete_version_after"/,
  ],
  [
    'custom_metadata that is text',
    'metadata/a',
    { custom_metadata: 'x' },
    /^Field validation failed: .*"custom_metadata"/,
  ],
] as const) {
  test(`kv v2: ${path} refuses ${name}`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', `secret/${path}`, { body })
    assert.equal(answer.status, 400)
    assert.match(answer.errors.join(), want)
    assert.equal((await server.ask('GET', 'secret/metadata/a')).status, 404, 'nothing was made')
  })
}

for (const [name, mount, secret, want] of [
  ['10 when neither says', 0, 0, 10],
  ['as the mount says', 3, 0, 3],
  ['as the secret says', 0, 3, 3],
  ['the greater of both, when the secret says more', 2, 4, 4],
  ['the greater of both, when the mount says more', 4, 2, 4],
] as const) {
  test(`kv v2: of a secret so many versions are kept: ${name}`, async () => {
    await using server = await open()
    await config(server, { max_versions: mount })
    await write(server, 'a', { max_versions: secret })
    for (let n = 1; n <= 12; n++) await put(server, 'a', { n })
    const { versions, oldest_version: oldest, current_version: current } = await metadata(server, 'a')
    assert.equal(Object.keys(versions).length, want)
    assert.deepEqual([oldest, current], [13 - want, 12])
    assert.equal((await server.ask('GET', `secret/data/a?version=${12 - want}`)).status, 404)
    assert.equal((await server.ask('GET', `secret/data/a?version=${13 - want}`)).status, 200)
  })
}

test('kv v2: fewer versions than there are take effect at the next write', async () => {
  await using server = await open()
  for (let n = 1; n <= 5; n++) await put(server, 'a', { n })
  await write(server, 'a', { max_versions: 2 })
  assert.equal(Object.keys((await metadata(server, 'a')).versions).length, 5)
  await put(server, 'a', { n: 6 })
  assert.deepEqual(Object.keys((await metadata(server, 'a')).versions), ['5', '6'])
  await write(server, 'a', { max_versions: 1 })
  await put(server, 'a', { n: 7 })
  assert.deepEqual(Object.keys((await metadata(server, 'a')).versions), ['7'])
  assert.equal((await server.ask('GET', 'secret/data/a?version=6')).status, 404)
})

for (const [name, mount, secret, want] of [
  ['not at all when neither says', 0, 0, null],
  ['as the mount says', 60, 0, 60],
  ['as the secret says', 0, 60, 60],
  ['the smaller of both, when the secret says less', 90, 30, 30],
  ['the smaller of both, when the mount says less', 30, 90, 30],
  ['not at all when the mount says never', -1, 30, null],
] as const) {
  test(`kv v2: versions delete themselves: ${name}`, async () => {
    await using server = await open()
    await config(server, { delete_version_after: mount })
    await write(server, 'a', { delete_version_after: secret })
    const written = (await put(server, 'a', { n: 1 })).data as { created_time: string; deletion_time: string }
    if (want === null) {
      assert.equal(written.deletion_time, '')
      await server.world.clock.advance(1_000_000)
      assert.equal((await server.ask('GET', 'secret/data/a')).status, 200)
      return
    }
    assert.equal(Date.parse(written.deletion_time) - Date.parse(written.created_time), want * 1000)
    await server.world.clock.advance(want * 1000 - 1)
    const before = await server.ask('GET', 'secret/data/a')
    assert.equal(before.status, 200)
    const shown = before.data as { data: Json; metadata: { deletion_time: string } }
    assert.deepEqual([shown.data, shown.metadata.deletion_time], [{ n: 1 }, written.deletion_time])
    await server.world.clock.advance(1)
    const after = await server.ask('GET', 'secret/data/a')
    assert.deepEqual([after.status, (after.data as { data: Json }).data], [404, null])
    await server.ask('POST', 'secret/undelete/a', { body: { versions: [1] } })
    const back = await server.ask('GET', 'secret/data/a')
    assert.deepEqual(
      [back.status, (back.data as { metadata: { deletion_time: string } }).metadata.deletion_time],
      [200, ''],
    )
  })
}

test('kv v2: what a version lives is settled when it is written', async () => {
  await using server = await open()
  await put(server, 'a', { n: 1 })
  await config(server, { delete_version_after: '10s' })
  await put(server, 'a', { n: 2 })
  await server.world.clock.advance(60_000)
  assert.equal((await server.ask('GET', 'secret/data/a?version=1')).status, 200)
  assert.equal((await server.ask('GET', 'secret/data/a?version=2')).status, 404)
})

test('kv v2: metadata without a known field is 204 and makes nothing', async () => {
  await using server = await open()
  for (const body of [{}, { other: 1 }]) {
    const answer = await write(server, 'a', body)
    assert.ok(answer.status === 204 || answer.status === 200, String(answer.status))
    assert.equal((await server.ask('GET', 'secret/metadata/a')).status, 404)
  }
})

test('kv v2: metadata alone makes a secret of version 0, which is listed', async () => {
  await using server = await open()
  assert.equal((await write(server, 'a', { max_versions: 5 })).status, 204)
  const made = await metadata(server, 'a')
  assert.deepEqual([made['current_version'], made['oldest_version'], made.versions], [0, 0, {}])
  assert.deepEqual((await server.ask('LIST', 'secret/metadata')).data, { keys: ['a'] })
})

test('kv v2: cas_required of a secret can not undo that of the mount, and the writer is told', async () => {
  await using server = await open()
  await config(server, { cas_required: true })
  const warning = '"cas_required" set to false, but is mandated by backend config. This value will be ignored.'
  for (const answer of [
    await write(server, 'a', { cas_required: false }),
    await patch(server, 'a', { cas_required: false }),
  ]) {
    assert.equal(answer.status, 200)
    assert.deepEqual((answer.body as { warnings: string[] }).warnings, [warning])
  }
  assert.equal((await write(server, 'a', { cas_required: true })).status, 204)
})

const long = (length: number): string => 'x'.repeat(length)
const many = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'v']))
const failed = 'custom_metadata validation failed: '

for (const [name, custom, want] of [
  ['64 texts', many(64), null],
  ['65 texts', many(65), 'payload must contain at most 64 keys, provided 65'],
  ['a key of 128 bytes', { [long(128)]: 'v' }, null],
  ['a key of 129 bytes', { [long(129)]: 'v' }, `length of key "${long(129)}" is 129 but must be 0 < len(key) <= 128`],
  [
    'a key of 65 two-byte letters',
    { ['é'.repeat(65)]: 'v' },
    `length of key "${'é'.repeat(65)}" is 130 but must be 0 < len(key) <= 128`,
  ],
  ['an empty key', { '': 'v' }, 'length of key "" is 0 but must be 0 < len(key) <= 128'],
  ['a value of 512 bytes', { k: long(512) }, null],
  ['a value of 513 bytes', { k: long(513) }, 'length of value for key "k" is 513 but must be 0 < len(value) <= 512'],
  ['an empty value', { k: '' }, 'length of value for key "k" is 0 but must be 0 < len(value) <= 512'],
  ['null as a value', { k: null }, 'length of value for key "k" is 0 but must be 0 < len(value) <= 512'],
  ['a line break in a key', { 'a\nb': 'v' }, 'key "a\\nb" contains unprintable characters'],
  ['a no-break space in a value', { k: 'a\u00a0b' }, 'value for key "k" contains unprintable characters'],
  ['letters of any script, spaces and marks', { 'schlüssel 鍵': 'e\u0301 – ☃' }, null],
] as const) {
  test(`kv v2: custom_metadata of ${name} is ${want === null ? 'taken' : 'refused'}`, async () => {
    await using server = await open()
    const answer = await write(server, 'a', { custom_metadata: custom })
    if (want === null) {
      assert.equal(answer.status, 204)
      assert.deepEqual((await metadata(server, 'a'))['custom_metadata'], custom)
    } else {
      assert.equal(answer.status, 400)
      assert.deepEqual(answer.errors, [`1 error occurred:\n\t* ${failed}${want}\n\n`])
      assert.equal((await server.ask('GET', 'secret/metadata/a')).status, 404)
    }
  })
}

test('kv v2: all that is wrong with custom_metadata is said at once', async () => {
  await using server = await open()
  const answer = await write(server, 'a', { custom_metadata: { k: '', 'a\tb': 'v' } })
  const lines = [
    'length of value for key "k" is 0 but must be 0 < len(value) <= 512',
    'key "a\\tb" contains unprintable characters',
  ].map(line => `\t* ${failed}${line}\n`)
  assert.deepEqual(answer.errors, [`2 errors occurred:\n${lines.join('')}\n`])
  const nested = await write(server, 'a', { custom_metadata: { k: { a: 1 } } })
  assert.equal(nested.status, 400)
  assert.match(nested.errors.join(), /^custom_metadata validation failed: /)
})

test('kv v2: custom_metadata is texts: numbers as written, true as 1, __proto__ as any other key', async () => {
  await using server = await open()
  const text = '{"custom_metadata":{"n":1.50,"yes":true,"no":false,"__proto__":"p"}}'
  assert.equal((await server.ask('POST', 'secret/metadata/a', { text })).status, 204)
  const { text: shown } = await server.ask('GET', 'secret/metadata/a')
  assert.ok(shown.includes('"custom_metadata":{"__proto__":"p","n":"1.50","no":"0","yes":"1"}'), shown)
})

test('kv v2: custom_metadata is replaced as a whole by a write, merged by a patch, and null when there is none', async () => {
  await using server = await open()
  const custom = async (): Promise<Json> => {
    const inMetadata = (await metadata(server, 'a'))['custom_metadata']!
    const { metadata: beside } = (await server.ask('GET', 'secret/data/a')).data as { metadata: Record<string, Json> }
    assert.deepEqual(beside['custom_metadata'], inMetadata, 'data and metadata agree')
    return inMetadata
  }
  await put(server, 'a')
  for (const [send, body, want] of [
    [write, { custom_metadata: { a: '1', b: '2' } }, { a: '1', b: '2' }],
    [patch, { custom_metadata: { b: '3', c: '4' } }, { a: '1', b: '3', c: '4' }],
    [patch, { custom_metadata: { a: null } }, { b: '3', c: '4' }],
    [write, { max_versions: 3 }, { b: '3', c: '4' }],
    [write, { custom_metadata: { d: '5' } }, { d: '5' }],
    [patch, { custom_metadata: { d: null } }, null],
    [write, { custom_metadata: { e: '6' } }, { e: '6' }],
    [patch, { custom_metadata: null }, null],
    [write, { custom_metadata: { e: '6' } }, { e: '6' }],
    [write, { custom_metadata: {} }, null],
  ] as const) {
    assert.equal((await send(server, 'a', body as Json)).status, 204)
    assert.deepEqual(await custom(), want, JSON.stringify(body))
  }
})

test('kv v2: a patch of metadata resets what is null, keeps what is not sent, and wants a secret', async () => {
  await using server = await open()
  const missing = await patch(server, 'a', { max_versions: 3 })
  assert.deepEqual([missing.status, missing.data], [404, null])
  await write(server, 'a', { max_versions: 3, cas_required: true, delete_version_after: '1h' })
  assert.equal((await patch(server, 'a', { max_versions: null })).status, 204)
  const one = await metadata(server, 'a')
  assert.deepEqual([one['max_versions'], one['cas_required'], one['delete_version_after']], [0, true, '1h0m0s'])
  await patch(server, 'a', { cas_required: null, delete_version_after: null })
  const two = await metadata(server, 'a')
  assert.deepEqual([two['cas_required'], two['delete_version_after']], [false, '0s'])
})

test('kv v2: a delete of metadata removes every version for good, and the next write begins at 1', async () => {
  await using server = await open()
  for (const n of [1, 2, 3]) await put(server, 'a', { n })
  await put(server, 'a/b', { n: 9 })
  assert.equal((await server.ask('DELETE', 'secret/metadata/a')).status, 204)
  for (const path of ['data/a', 'data/a?version=1', 'metadata/a', 'subkeys/a']) {
    assert.equal((await server.ask('GET', `secret/${path}`)).status, 404, path)
  }
  assert.equal((await server.ask('GET', 'secret/data/a/b')).status, 200, 'what lies below is another secret')
  assert.equal(((await put(server, 'a', { n: 4 })).data as { version: number }).version, 1)
  assert.equal((await server.ask('GET', 'secret/data/a?version=2')).status, 404)
  assert.equal((await server.ask('DELETE', 'secret/metadata/none')).status, 204)
})

for (const [where, config] of [
  ['mount', 'secret/config'],
  ['secret', 'secret/metadata/a'],
] as const) {
  test(`kv v2: metadata_cas_required of the ${where} refuses metadata without metadata_cas`, async () => {
    await using server = await open()
    await put(server, 'a')
    assert.equal((await server.ask('POST', config, { body: { metadata_cas_required: true } })).status, 204)
    const current = where === 'mount' ? 0 : 1
    const body = { custom_metadata: { a: 'b' } }
    for (const ask of [write, patch]) {
      assert.deepEqual((await ask(server, 'a', body)).errors, [
        'metadata check-and-set parameter required for this call',
      ])
      assert.deepEqual((await ask(server, 'a', { ...body, metadata_cas: current + 1 })).errors, [
        'metadata check-and-set parameter does not match the current version',
      ])
    }
    assert.equal((await write(server, 'a', { ...body, metadata_cas: current })).status, 204)
    assert.equal((await patch(server, 'a', { ...body, metadata_cas: current + 1 })).status, 204)
    assert.equal((await metadata(server, 'a'))['current_metadata_version'], current + 2)
  })
}

test('kv v2: metadata_cas makes metadata only where none is, and of two at once one wins', async () => {
  await using server = await open()
  const body = { max_versions: 3, metadata_cas: 0 }
  assert.deepEqual((await write(server, 'a', { ...body, metadata_cas: 2 })).errors, [
    'metadata_cas must be 0 when creating new metadata',
  ])
  const both = await Promise.all([write(server, 'a', body), write(server, 'a', body)])
  assert.deepEqual(
    both.map(one => one.status).sort((a, b) => a - b),
    [204, 400],
  )
})

test('kv v2: metadata_cas_required of a secret can not undo that of the mount, and the writer is told', async () => {
  await using server = await open()
  await config(server, { metadata_cas_required: true })
  const { body } = await write(server, 'a', { metadata_cas_required: false, metadata_cas: 0 })
  assert.deepEqual((body as { warnings: Json }).warnings, [
    '"metadata_cas_required" set to false, but is mandated by backend config. This value will be ignored.',
  ])
})

test('kv v2: a scan goes to any depth, and the detailed list shows what a read of each would', async () => {
  await using server = await open()
  for (const path of ['a', 'b/c', 'b/d/e']) await put(server, path)
  const keys = async (method: string, path: string): Promise<Json> =>
    ((await server.ask(method, `secret/${path}`)).data as { keys: Json } | null)?.keys ?? null
  assert.deepEqual(await keys('SCAN', 'metadata/'), ['a', 'b/c', 'b/d/e'])
  assert.deepEqual(await keys('SCAN', 'metadata/b/'), ['c', 'd/e'])
  const { data } = await server.ask('LIST', 'secret/detailed-metadata/b/')
  assert.deepEqual(data, { keys: ['c', 'd/'], key_info: { c: await metadata(server, 'b/c') } })
  assert.deepEqual(await keys('SCAN', 'detailed-metadata/'), ['a', 'b/c', 'b/d/e'])
  assert.deepEqual(await keys('LIST', 'detailed-metadata/?limit=1'), ['a'])
  assert.deepEqual(await keys('LIST', 'detailed-metadata/?after=a'), ['b/'])
  assert.equal((await server.ask('LIST', 'secret/detailed-metadata/none')).status, 404)
})

test('kv v2: listing shows one level, folders with a slash, a name that is both twice, and pages', async () => {
  await using server = await open()
  for (const path of ['a', 'a/b', 'a/c/d', 'b', 'z/y']) await put(server, path)
  for (const [path, want] of [
    ['metadata', ['a', 'a/', 'b', 'z/']],
    ['metadata/', ['a', 'a/', 'b', 'z/']],
    ['metadata/a', ['b', 'c/']],
    ['metadata/a/', ['b', 'c/']],
    ['metadata/a/c', ['d']],
    ['metadata?after=a/', ['b', 'z/']],
    ['metadata?limit=2', ['a', 'a/']],
    ['metadata?limit=-1', ['a', 'a/', 'b', 'z/']],
    ['metadata?after=a&limit=2', ['a/', 'b']],
  ] as const) {
    assert.deepEqual((await server.ask('LIST', `secret/${path}`)).data, { keys: want }, path)
  }
  const byGet = await server.ask('GET', 'secret/metadata/a?list=true')
  assert.deepEqual(byGet.data, { keys: ['b', 'c/'] })
  for (const path of ['secret/metadata/b', 'secret/metadata/none']) {
    const answer = await server.ask('LIST', path)
    assert.deepEqual([answer.status, answer.body], [404, { errors: [] }], path)
  }
  await server.ask('DELETE', 'secret/data/b')
  assert.ok(((await server.ask('LIST', 'secret/metadata')).data as { keys: string[] }).keys.includes('b'))
})
