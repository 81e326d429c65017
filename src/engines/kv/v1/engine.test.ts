import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Json, RawJson } from '#ground/text/json.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { kvV2 } from '../v2/engine.ts'
import { kvV1 } from './engine.ts'

const generic = { ...kvV1, type: 'generic' }
const open = (options?: Record<string, string>): Promise<TestServer> =>
  openTestMount(kvV1, { path: 'kv/', others: [kvV2, generic], ...(options && { options }) })

/** A token whose policy is the given text. */
async function tokenOf(server: TestServer, policy: string): Promise<string> {
  assert.equal((await server.ask('PUT', 'sys/policies/acl/p', { body: { policy } })).status, 204)
  const { body } = await server.ask('POST', 'auth/token/create', { body: { policies: ['p'] } })
  return (body as { auth: { client_token: string } }).auth.client_token
}

const leaseDuration = (body: Json): Json => (body as { lease_duration: number }).lease_duration
const keysOf = (data: Json): Json => (data as { keys: string[] } | null)?.keys ?? null

test('kv v1: a read gives what was written, word for word, without a lease', async () => {
  await using server = await open()
  const sent = new RawJson(' {"z": 1.0, "a": 1e5, "big": 12345678901234567890, "n": null, "deep": {"b": ["<", 2.50]}}')
  assert.equal((await server.ask('POST', 'kv/app/db', { body: sent })).status, 204)
  const { text, status } = await server.ask('GET', 'kv/app/db')
  assert.equal(status, 200)
  assert.match(text, /"lease_id":"","renewable":false,"lease_duration":2764800,/)
  assert.ok(
    text.includes('"data":{"a":1e5,"big":12345678901234567890,"deep":{"b":["\\u003c",2.50]},"n":null,"z":1.0},'),
    text,
  )
  assert.match(text, /"wrap_info":null,"warnings":null,"auth":null,"mount_type":"kv"}\n$/)
})

test('kv v1: a write replaces the whole secret, and a restart keeps it', async () => {
  await using server = await open({ version: '1' })
  await server.ask('POST', 'kv/a', { body: { x: '1', y: '2', ttl: '90s' } })
  assert.equal((await server.ask('PUT', 'kv/a', { body: { y: '3', lease: '2m' } })).status, 204)
  await server.restart()
  const { data, body } = await server.ask('GET', 'kv/a')
  assert.deepEqual(data, { y: '3', lease: '2m' })
  assert.equal(leaseDuration(body), 120)
})

for (const [rule, secret, want] of [
  ['a text of seconds', '{"ttl":"90"}', 90],
  ['a number', '{"ttl":90}', 90],
  ["Go's form", '{"ttl":"1h30m"}', 5400],
  ['days', '{"ttl":"2d"}', 172_800],
  ['lease, the old name', '{"lease":"10m"}', 600],
  ['ttl before lease', '{"lease":"10m","ttl":"1m"}', 60],
  ['a ttl that is no duration hides lease', '{"lease":"10m","ttl":"soon"}', 2_764_800],
  ['a number with a fraction is no duration', '{"ttl":1.5}', 2_764_800],
  ['a number with an exponent neither', '{"ttl":1e3}', 2_764_800],
  ['nor are other kinds', '{"ttl":true}', 2_764_800],
  ['null', '{"ttl":null,"lease":"5m"}', 2_764_800],
  ['zero is as if it was not there', '{"ttl":0}', 2_764_800],
  ['so is an empty text', '{"ttl":""}', 2_764_800],
  ['so is what is negative', '{"ttl":"-5m"}', 2_764_800],
  ['less than a second shows as 0', '{"ttl":"500ms"}', 0],
  ['a fraction is cut off', '{"ttl":"1.9s"}', 1],
  ['a ttl further down is data', '{"a":{"ttl":"1m"}}', 2_764_800],
] as const) {
  test(`kv v1: lease_duration, ${rule}`, async () => {
    await using server = await open()
    await server.ask('POST', 'kv/a', { body: new RawJson(secret) })
    const before = await server.ask('GET', 'kv/a')
    await server.restart()
    const { body } = await server.ask('GET', 'kv/a')
    assert.deepEqual([leaseDuration(before.body), leaseDuration(body)], [want, want])
    assert.equal((body as { warnings: Json }).warnings, null)
  })
}

test('kv v1: lease_duration follows the TTLs of the mount, also those tuned later', async () => {
  await using server = await open()
  await server.ask('POST', 'kv/plain', { body: { a: '1' } })
  await server.ask('POST', 'kv/long', { body: { ttl: '2h' } })
  await server.ask('GET', 'kv/plain')
  await server.ask('POST', 'sys/mounts/kv/tune', { body: { default_lease_ttl: '10m', max_lease_ttl: '1h' } })
  assert.equal(leaseDuration((await server.ask('GET', 'kv/plain')).body), 600)
  const { body, data } = await server.ask('GET', 'kv/long')
  assert.equal(leaseDuration(body), 3600)
  assert.deepEqual(data, { ttl: '2h' })
  assert.deepEqual((body as { warnings: Json }).warnings, [
    'TTL of "2h" exceeded the effective max_ttl of "1h"; TTL value is capped accordingly',
  ])
})

test('kv v1: keys of any name are kept, those of our own fields too', async () => {
  await using server = await open()
  const secret = '{"__proto__":{"x":1},"after":"a","limit":"many","list":"true","path":"/etc","version":2}'
  assert.equal((await server.ask('POST', 'kv/a?limit=1&extra=2', { body: new RawJson(secret) })).status, 204)
  assert.ok((await server.ask('GET', 'kv/a')).text.includes(`"data":${secret},"wrap_info":null,"warnings":null,`))
})

test('kv v1: a form is taken when its header says so', async () => {
  await using server = await open()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  await server.ask('POST', 'kv/a', { body: new RawJson('user=app&password=s%20p'), headers })
  assert.deepEqual((await server.ask('GET', 'kv/a')).data, { user: 'app', password: 's p' })
})

for (const [rule, method, path, body, status, errors] of [
  ['a write without a body', 'POST', 'kv/a', undefined, 400, ['missing data fields']],
  ['an empty object', 'PUT', 'kv/a', '{}', 400, ['missing data fields']],
  ['null', 'POST', 'kv/a', 'null', 400, ['missing data fields']],
  ['parameters in the query are no data', 'POST', 'kv/a?x=1', undefined, 400, ['missing data fields']],
  ['a write to the mount', 'POST', 'kv', '{"a":1}', 400, ['missing path']],
  ['a write to the mount without data', 'POST', 'kv', undefined, 400, ['missing path']],
  ['a write to a folder', 'POST', 'kv/a/', '{"a":1}', 400, ["cannot write to a path ending in '/'"]],
  ['a read of nothing', 'GET', 'kv/none', undefined, 404, []],
  ['a read of the mount', 'GET', 'kv', undefined, 404, []],
  ['a read of the mount with its slash', 'GET', 'kv/', undefined, 404, []],
  ['a read of a folder', 'GET', 'kv/there/', undefined, 404, []],
  ['a list of nothing', 'LIST', 'kv/none', undefined, 404, []],
  ['a list of a secret', 'LIST', 'kv/there/x', undefined, 404, []],
  ['a deletion of nothing', 'DELETE', 'kv/none', undefined, 204, []],
  ['a deletion of a folder', 'DELETE', 'kv/there/', undefined, 204, []],
  ['a deletion of the mount', 'DELETE', 'kv/', undefined, 204, []],
  ['a dot segment', 'GET', 'kv/a/../b', undefined, 400, ['relative paths not supported']],
] as const) {
  test(`kv v1: ${rule} is ${status}`, async () => {
    await using server = await open()
    await server.ask('POST', 'kv/there/x', { body: { a: '1' } })
    const answer = await server.ask(method, path, body === undefined ? {} : { body: new RawJson(body) })
    assert.deepEqual([answer.status, answer.errors], [status, errors])
    assert.deepEqual((await server.ask('GET', 'kv/there/x')).data, { a: '1' })
  })
}

test('kv v1: PATCH is unsupported', async () => {
  await using server = await open()
  const headers = { 'content-type': 'application/merge-patch+json' }
  const { status, errors } = await server.ask('PATCH', 'kv/a', { body: { a: '1' }, headers })
  assert.equal(status, 405)
  assert.match(errors[0]!, /unsupported operation/)
})

test('kv v1: paths with dots, and a secret with the name of a folder', async () => {
  await using server = await open()
  const paths = ['.env', 'a', 'a-b', 'a.b', 'a..b', 'a/.hidden', 'a/b', 'data/x', 'metadata', '...', 'ä b']
  for (const path of paths) {
    const at = `kv/${encodeURIComponent(path)}`
    assert.equal((await server.ask('POST', at, { body: { path } })).status, 204, path)
  }
  for (const path of paths) {
    assert.deepEqual((await server.ask('GET', `kv/${encodeURIComponent(path)}`)).data, { path })
  }
  await server.ask('DELETE', 'kv/a')
  assert.equal((await server.ask('GET', 'kv/a')).status, 404)
  assert.equal((await server.ask('GET', 'kv/a/b')).status, 200)
})

test('kv v1: LIST shows one level, SCAN all of them, and both go on after a name', async () => {
  await using server = await open()
  for (const path of ['a', 'a-b', 'a/x', 'a/y/z', 'b/c', 'd'])
    await server.ask('POST', `kv/${path}`, { body: { n: 1 } })
  const asked: readonly (readonly [string, string, readonly string[]])[] = [
    ['LIST', 'kv', ['a', 'a-b', 'a/', 'b/', 'd']],
    ['LIST', 'kv/', ['a', 'a-b', 'a/', 'b/', 'd']],
    ['GET', 'kv?list=true', ['a', 'a-b', 'a/', 'b/', 'd']],
    ['LIST', 'kv/a', ['x', 'y/']],
    ['LIST', 'kv/a/', ['x', 'y/']],
    ['LIST', 'kv?limit=2', ['a', 'a-b']],
    ['LIST', 'kv?after=a-b&limit=2', ['a/', 'b/']],
    ['LIST', 'kv?limit=-1', ['a', 'a-b', 'a/', 'b/', 'd']],
    ['SCAN', 'kv', ['a', 'a-b', 'a/x', 'a/y/z', 'b/c', 'd']],
    ['GET', 'kv/a?scan=true', ['x', 'y/z']],
    ['SCAN', 'kv?after=a-b&limit=2', ['a/x', 'a/y/z']],
    ['SCAN', 'kv?after=a/x', ['a/y/z', 'b/c', 'd']],
    ['SCAN', 'kv?after=a/y/z', ['b/c', 'd']],
    ['SCAN', 'kv?after=a/', ['a/x', 'a/y/z', 'b/c', 'd']],
    ['SCAN', 'kv?after=a/none/deep', ['a/x', 'a/y/z', 'b/c', 'd']],
  ]
  for (const [method, path, want] of asked) {
    assert.deepEqual(keysOf((await server.ask(method, path)).data), want, `${method} ${path}`)
  }
})

test('kv v1: a list is whole when it is longer than a page of the store', async () => {
  await using server = await open()
  for (let i = 0; i < 1_050; i++) await server.ask('POST', `kv/many/${i}`, { body: { n: i } })
  assert.equal((keysOf((await server.ask('LIST', 'kv/many')).data) as string[]).length, 1_050)
  assert.equal((keysOf((await server.ask('SCAN', 'kv')).data) as string[]).length, 1_050)
})

test('kv v1: create and update are told apart, and a policy sees the keys of the secret', async () => {
  await using server = await open()
  const token = await tokenOf(
    server,
    'path "kv/new" { capabilities = ["create"] }\npath "kv/own" { capabilities = ["create", "update"] denied_parameters = { path = [], admin = [] } }',
  )
  const write = async (path: string, body: Record<string, Json>): Promise<number> =>
    (await server.ask('POST', path, { body, token })).status
  assert.equal(await write('kv/new', { a: '1' }), 204)
  assert.equal(await write('kv/new', { a: '2' }), 403)
  assert.deepEqual((await server.ask('GET', 'kv/new')).data, { a: '1' })
  assert.equal(await write('kv/own', { admin: 'yes' }), 403)
  assert.equal(await write('kv/own', { path: '/' }), 403)
  assert.equal(await write('kv/own', { user: 'yes' }), 204)
})

test('kv v1: pagination_limit of a policy bounds a list and a scan', async () => {
  await using server = await open()
  for (const path of ['a', 'b', 'c']) await server.ask('POST', `kv/${path}`, { body: { n: 1 } })
  const token = await tokenOf(server, 'path "kv/*" { capabilities = ["list", "scan"] pagination_limit = 2 }')
  assert.deepEqual(keysOf((await server.ask('LIST', 'kv/', { token })).data), ['a', 'b'])
  assert.deepEqual(keysOf((await server.ask('SCAN', 'kv/', { token })).data), ['a', 'b'])
})

test('kv v1: who watches a secret is told of writes and deletions, not of those that change nothing', async () => {
  await using server = await open()
  const ended = new AbortController()
  using subscription = server.house.notices.subscribe(new Set(['kv/app', 'kv/last']))
  await server.ask('DELETE', 'kv/app')
  await server.ask('POST', 'kv/app', { body: { a: '1' } })
  await server.ask('POST', 'kv/app/deeper', { body: { a: '1' } })
  await server.ask('DELETE', 'kv/app')
  await server.ask('POST', 'kv/last', { body: { a: '1' } })
  const seen: Json[] = []
  for await (const notice of subscription.read(ended.signal)) {
    seen.push({ ...notice })
    if ('path' in notice && notice.path === 'kv/last') break
  }
  assert.deepEqual(seen, [
    { path: 'kv/app', version: null },
    { path: 'kv/app', version: null },
    { path: 'kv/last', version: null },
  ])
})

test('kv v1: help says what a path takes', async () => {
  await using server = await open()
  const { body } = await server.ask('GET', 'kv/any?help=1')
  const { help } = body as { help: string }
  assert.match(help, /Request: {8}any\n/)
  assert.match(help, /"ttl" \(or "lease"\)/)
})

test('kv v1: OpenAPI says that a write takes any object', async () => {
  await using server = await open()
  const { body } = await server.ask('GET', 'sys/internal/specs/openapi')
  const paths = (body as { paths: Record<string, { post: { parameters: Json; requestBody: { content: Json } } }> })
    .paths
  const { post } = paths['/kv/{path}']!
  assert.deepEqual(post.requestBody.content, {
    'application/json': { schema: { type: 'object', additionalProperties: true } },
  })
  assert.deepEqual(post.parameters, [])
})

for (const [rule, mount, shown] of [
  ['kv without options', { type: 'kv' }, { type: 'kv', options: null }],
  ['kv with version 1', { type: 'kv', options: { version: '1' } }, { type: 'kv', options: { version: '1' } }],
  ['kv-v1', { type: 'kv-v1' }, { type: 'kv', options: { version: '1' } }],
  ['generic', { type: 'generic' }, { type: 'generic', options: null }],
] as const) {
  test(`kv v1: is mounted by ${rule}, and says so to who asks before a read`, async () => {
    await using server = await open()
    assert.equal((await server.ask('POST', 'sys/mounts/secret', { body: mount })).status, 204)
    await server.restart()
    const { data } = await server.ask('GET', 'sys/internal/ui/mounts/secret/foo')
    const { type, options, path, accessor } = data as Record<string, Json>
    assert.deepEqual({ type, options, path }, { ...shown, path: 'secret/' })
    assert.match(accessor as string, new RegExp(`^${shown.type}_[0-9a-f]{8}$`))
    await server.ask('POST', 'secret/foo', { body: { a: 'b' } })
    const { body } = await server.ask('GET', 'secret/foo')
    assert.deepEqual((body as { data: Json; mount_type: Json }).data, { a: 'b' })
    assert.equal((body as { mount_type: Json }).mount_type, shown.type)
  })
}

test('kv v1: both versions are mounted side by side', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/mounts/two', { body: { type: 'kv', options: { version: '2' } } })
  await server.ask('POST', 'two/data/a', { body: { data: { x: '1' } } })
  assert.deepEqual(((await server.ask('GET', 'two/data/a')).data as { data: Json }).data, { x: '1' })
  assert.match((await server.ask('GET', 'two/a')).text, /Invalid path for a versioned K\/V secrets engine/)
})

test('kv v1: real leases are refused when it is mounted', async () => {
  await using server = await open()
  const body = { type: 'kv', options: { leased_passthrough: 'true' } }
  const { status, errors } = await server.ask('POST', 'sys/mounts/leased', { body })
  assert.equal(status, 400)
  assert.match(errors[0]!, /leased_passthrough/)
})

test('kv v1: disabling the mount removes its secrets', async () => {
  await using server = await open()
  await server.ask('POST', 'kv/a', { body: { a: '1' } })
  await server.ask('DELETE', 'sys/mounts/kv')
  await server.ask('POST', 'sys/mounts/kv', { body: { type: 'kv' } })
  assert.equal((await server.ask('GET', 'kv/a')).status, 404)
})
