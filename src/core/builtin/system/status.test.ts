import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { notebook } from '#core/testing/engines.ts'
import { openTestServer, type TestAnswer, type TestServer } from '#core/testing/mount.ts'

type Keys = { keys: string[]; keys_base64: string[]; root_token: string; recovery_keys?: string[] }
type Body = Readonly<Record<string, Json>>

const shamir = (): Promise<TestServer> => openTestServer({ catalog: [notebook], seal: 'shamir' })
const nobody = { token: null } as const
const init = async (server: TestServer, body: Body): Promise<Keys> =>
  (await server.ask('PUT', 'sys/init', { ...nobody, body })).body as unknown as Keys
const unseal = (server: TestServer, body: Body): Promise<TestAnswer> =>
  server.ask('PUT', 'sys/unseal', { ...nobody, body })

test('sys/init: five shares of which three unseal, bare, and sealed afterwards', async () => {
  await using server = await shamir()
  assert.deepEqual((await server.ask('GET', 'sys/init', nobody)).body, { initialized: false })
  const keys = await init(server, { secret_shares: 5, secret_threshold: 3 })
  assert.deepEqual(Object.keys(keys), ['keys', 'keys_base64', 'root_token'])
  assert.equal(new Set(keys.keys).size, 5)
  for (const [n, key] of keys.keys.entries()) {
    assert.match(key, /^[0-9a-f]{66}$/)
    assert.equal(Buffer.from(key, 'hex').toString('base64'), keys.keys_base64[n])
  }
  assert.match(keys.root_token, /^hvs\.[0-9A-Za-z]{24}$/)
  assert.deepEqual((await server.ask('GET', 'sys/init', nobody)).body, { initialized: true })
  assert.partialDeepStrictEqual((await server.ask('GET', 'sys/seal-status', nobody)).body, {
    sealed: true,
    t: 3,
    n: 5,
    progress: 0,
  })
})

test('sys/init: with one share the share is the key of 32 bytes', async () => {
  await using server = await shamir()
  const { keys, root_token: token } = await init(server, { secret_shares: 1, secret_threshold: 1, stored_shares: 1 })
  assert.match(keys[0]!, /^[0-9a-f]{64}$/)
  assert.partialDeepStrictEqual((await unseal(server, { key: keys[0]! })).body, { sealed: false })
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
})

const badInits: readonly (readonly [rule: string, body: Body, text: string])[] = [
  ['no shares', {}, 'invalid seal configuration: shares must be at least one'],
  ['no threshold', { secret_shares: 3 }, 'invalid seal configuration: threshold must be at least one'],
  [
    'one of several',
    { secret_shares: 3, secret_threshold: 1 },
    'invalid seal configuration: threshold must be greater than one for multiple shares',
  ],
  [
    'more than there are',
    { secret_shares: 3, secret_threshold: 4 },
    'invalid seal configuration: threshold cannot be larger than shares',
  ],
  ['too many', { secret_shares: 256, secret_threshold: 2 }, 'invalid seal configuration: shares must be less than 256'],
  [
    'recovery shares',
    { recovery_shares: 1, recovery_threshold: 1 },
    'parameters recovery_shares,recovery_threshold not applicable to seal type shamir',
  ],
  ['PGP keys', { secret_shares: 1, secret_threshold: 1, pgp_keys: ['x'] }, '"pgp_keys" is not supported: leave it out'],
  [
    'a PGP key for the root token',
    { secret_shares: 1, secret_threshold: 1, root_token_pgp_key: 'x' },
    '"root_token_pgp_key" is not supported: leave it out',
  ],
]
for (const [rule, body, text] of badInits) {
  test(`sys/init: ${rule} is refused, and nothing is initialised`, async () => {
    await using server = await shamir()
    const answer = await server.ask('PUT', 'sys/init', { ...nobody, body })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.deepEqual((await server.ask('GET', 'sys/init', nobody)).body, { initialized: false })
  })
}

test('sys/init: twice is refused', async () => {
  await using server = await shamir()
  await init(server, { secret_shares: 1, secret_threshold: 1 })
  const again = await server.ask('PUT', 'sys/init', { ...nobody, body: { secret_shares: 1, secret_threshold: 1 } })
  assert.deepEqual([again.status, again.errors], [400, ['Vault is already initialized']])
})

test('sys/unseal: share by share, hex or base64, a doubled one counting once, with a nonce from the first', async () => {
  await using server = await shamir()
  const { keys, keys_base64 } = await init(server, { secret_shares: 5, secret_threshold: 3 })
  const first = (await unseal(server, { key: keys[0]! })).body as Record<string, Json>
  assert.partialDeepStrictEqual(first, {
    sealed: true,
    progress: 1,
    type: 'shamir',
    initialized: true,
    recovery_seal: false,
    migration: false,
    storage_type: 'inmem',
  })
  assert.match(first['nonce'] as string, /^[0-9a-f-]{36}$/)
  assert.ok(!('cluster_id' in first))
  assert.partialDeepStrictEqual((await unseal(server, { key: keys[0]! })).body, { progress: 1, nonce: first['nonce']! })
  assert.partialDeepStrictEqual((await unseal(server, { key: keys_base64[1]! })).body, {
    progress: 2,
    nonce: first['nonce']!,
  })
  const last = (await unseal(server, { key: keys[4]! })).body as Record<string, Json>
  assert.partialDeepStrictEqual(last, { sealed: false, progress: 0, nonce: '', t: 3, n: 5 })
  assert.match(last['cluster_name'] as string, /^vault-cluster-[0-9a-f]{8}$/)
  assert.partialDeepStrictEqual((await unseal(server, { key: keys[0]! })).body, { sealed: false })
})

test('sys/unseal: a wrong set fails at the threshold only, and begins anew', async () => {
  await using server = await shamir()
  await using other = await openTestServer({ catalog: [], seal: 'shamir', seed: 2 })
  const { keys } = await init(server, { secret_shares: 3, secret_threshold: 2 })
  const { keys: foreign } = await init(other, { secret_shares: 3, secret_threshold: 2 })
  assert.equal((await unseal(server, { key: foreign[0]! })).status, 200)
  const failed = await unseal(server, { key: keys[1]! })
  assert.equal(failed.status, 400)
  assert.match(failed.errors[0]!, /invalid key/)
  assert.partialDeepStrictEqual((await server.ask('GET', 'sys/seal-status', nobody)).body, {
    sealed: true,
    progress: 0,
  })
  await unseal(server, { key: keys[0]! })
  assert.partialDeepStrictEqual((await unseal(server, { key: keys[1]! })).body, { sealed: false })
})

const badUnseals: readonly (readonly [rule: string, body: Body, text: string])[] = [
  ['nothing', {}, "'key' must be specified in request body as JSON, or 'reset' set to true"],
  ['what is neither hex nor base64', { key: '!!' }, "'key' must be a valid hex or base64 string"],
  ['a migration', { key: 'ab', migrate: true }, "can't perform a seal migration, no migration seal found"],
]
for (const [rule, body, text] of badUnseals) {
  test(`sys/unseal: ${rule} is refused`, async () => {
    await using server = await shamir()
    await init(server, { secret_shares: 3, secret_threshold: 2 })
    const answer = await unseal(server, body)
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.doesNotMatch(answer.text, /!!/)
  })
}

test('sys/unseal: reset forgets the shares, and is refused once unsealed', async () => {
  await using server = await shamir()
  const { keys } = await init(server, { secret_shares: 3, secret_threshold: 2 })
  await unseal(server, { key: keys[0]! })
  assert.partialDeepStrictEqual((await unseal(server, { reset: true })).body, { progress: 0, nonce: '' })
  for (const key of keys.slice(1)) await unseal(server, { key })
  const reset = await unseal(server, { reset: true })
  assert.deepEqual([reset.status, reset.errors], [400, ['vault is unsealed']])
})

test('sys/seal: takes sudo, seals, and everything is there again after the unsealing', async () => {
  await using server = await shamir()
  const { keys, root_token: token } = await init(server, { secret_shares: 1, secret_threshold: 1 })
  await unseal(server, { key: keys[0]! })
  server.rootToken = token
  await server.ask('POST', 'sys/mounts/notebook', { body: { type: 'notebook' } })
  await server.ask('POST', 'notebook/note/a', { body: { text: 'kept' } })
  const weak = await server.tokenWith('path "sys/seal" { capabilities = ["update"] }')
  assert.equal((await server.ask('PUT', 'sys/seal', { token: weak })).status, 403)
  const strong = await server.tokenWith('path "sys/seal" { capabilities = ["update", "sudo"] }')
  assert.equal((await server.ask('PUT', 'sys/seal', { token: strong })).status, 204)
  for (const path of ['notebook/note/a', 'sys/mounts', 'sys/seal', 'nowhere']) {
    const answer = await server.ask('GET', path)
    assert.deepEqual([answer.status, answer.errors], [503, ['Vault is sealed']], path)
  }
  await unseal(server, { key: keys[0]! })
  assert.deepEqual((await server.ask('GET', 'notebook/note/a')).data, { text: 'kept' })
})

test('sys/init: a seal that unseals by itself gives recovery keys, which never unseal, and no others', async () => {
  await using server = await openTestServer({ catalog: [] })
  const status = (await server.ask('GET', 'sys/seal-status', nobody)).body
  assert.partialDeepStrictEqual(status, { type: 'static', sealed: false, recovery_seal: true, initialized: true })
})

const methods = [
  ['GET', 'sys/unseal'],
  ['POST', 'sys/seal-status'],
  ['DELETE', 'sys/init'],
  ['POST', 'sys/health'],
  ['POST', 'sys/leader'],
] as const
for (const [method, path] of methods) {
  test(`sys: ${method} ${path} is 405, with a token`, async () => {
    await using server = await openTestServer({ catalog: [] })
    assert.equal((await server.ask(method, path)).status, 405)
  })
}

const health: readonly (readonly [rule: string, state: 'new' | 'sealed' | 'ready', query: string, status: number])[] = [
  ['not initialised', 'new', '', 501],
  ['not initialised, by another code', 'new', '?uninitcode=299&sealedcode=298', 299],
  ['sealed', 'sealed', '', 503],
  ['sealed, whatever standbyok says', 'sealed', '?standbyok=true&perfstandbyok=true', 503],
  ['sealed, by another code', 'sealed', '?sealedcode=299', 299],
  ['active', 'ready', '', 200],
  ['active, by another code', 'ready', '?activecode=204', 204],
  [
    "active, with all that Go's client sends",
    'ready',
    '?uninitcode=299&sealedcode=299&standbycode=299&drsecondarycode=299&performancestandbycode=299&removedcode=299',
    200,
  ],
  ['a code that is none', 'ready', '?activecode=x', 400],
  ['standbyok that is none', 'ready', '?standbyok=maybe', 400],
]
for (const [rule, state, query, status] of health) {
  test(`sys/health: ${rule}: ${status}`, async () => {
    await using server = await shamir()
    if (state !== 'new') {
      const { keys } = await init(server, { secret_shares: 1, secret_threshold: 1 })
      if (state === 'ready') await unseal(server, { key: keys[0]! })
    }
    for (const method of ['GET', 'HEAD']) {
      const answer = await server.ask(method, `sys/health${query}`, nobody)
      assert.equal(answer.status, status)
      if (status === 400) assert.deepEqual(answer.body, { errors: [] })
    }
  })
}

test('sys/health: bare, with all that typed clients read', async () => {
  await using server = await openTestServer({ catalog: [] })
  const { cluster_name, cluster_id, version, ...body } = (await server.ask('GET', 'sys/health', nobody)).body as Record<
    string,
    Json
  >
  assert.match(version as string, /^1\.21\.0/)
  assert.equal(cluster_name, `vault-cluster-${(cluster_id as string).slice(0, 8)}`)
  assert.deepEqual(body, {
    initialized: true,
    sealed: false,
    standby: false,
    performance_standby: false,
    replication_performance_mode: 'disabled',
    replication_dr_mode: 'disabled',
    server_time_utc: 1_767_225_600,
    enterprise: false,
    echo_duration_ms: 0,
    clock_skew_ms: 0,
    replication_primary_canary_age_ms: 0,
  })
  await server.node.seal()
  const sealed = (await server.ask('GET', 'sys/health', nobody)).body as Record<string, Json>
  assert.partialDeepStrictEqual(sealed, { sealed: true, standby: true, replication_performance_mode: 'unknown' })
  assert.ok(!('cluster_id' in sealed))
})

test('sys/leader: a node alone, bare, sealed or not', async () => {
  await using server = await openTestServer({ catalog: [] })
  for (let n = 0; n < 2; n++) {
    const answer = await server.ask('GET', 'sys/leader', nobody)
    assert.deepEqual(
      [answer.status, answer.body],
      [
        200,
        {
          ha_enabled: false,
          is_self: false,
          active_time: '0001-01-01T00:00:00Z',
          leader_address: '',
          leader_cluster_address: '',
          performance_standby: false,
          performance_standby_last_remote_wal: 0,
        },
      ],
    )
    await server.node.seal()
  }
})

/** Every path of sys/ is closed to who has no token, but for those that are known to be open. */
const opened = [
  'health',
  'init',
  'seal-status',
  'unseal',
  'leader',
  'internal/specs/openapi',
  'internal/ui/mounts',
  'wrapping/pubkey',
]
/** A token that wraps nothing is told so, in the words that clients know. */
const wrapping = ['wrapping/unwrap', 'wrapping/rewrap', 'wrapping/lookup']
test('sys: every other path is refused without a token, and by a token that may nothing', async () => {
  await using server = await openTestServer({ catalog: [notebook] })
  const { body } = await server.ask('GET', 'sys/internal/specs/openapi', nobody)
  const { paths } = body as { paths: Record<string, Record<string, unknown>> }
  const weak = await server.tokenWith('path "x" { capabilities = ["read"] }', { no_default_policy: true })
  let tried = 0
  for (const [template, item] of Object.entries(paths)) {
    const path = template.slice(1).replaceAll(/\{\w+\}/g, 'any')
    const name = path.replace(/^sys\//, '')
    if (opened.includes(name)) continue
    for (const verb of ['get', 'post', 'patch', 'delete'].filter(one => one in item)) {
      const headers = { 'Content-Type': 'application/merge-patch+json' }
      assert.equal((await server.ask(verb.toUpperCase(), path, { ...nobody, headers })).status, 403, `${verb} ${path}`)
      if (name === 'notices' || name.startsWith('internal/ui/')) continue
      assert.equal(
        (await server.ask(verb.toUpperCase(), path, { token: weak, headers })).status,
        wrapping.includes(name) ? 400 : 403,
        `${verb} ${path}`,
      )
      tried++
    }
  }
  assert.ok(tried > 40, String(tried))
})

test('sys/internal/specs/openapi: bare, every mount with its rows, mounts as parameters where asked for', async () => {
  await using server = await openTestServer({ catalog: [notebook] })
  await server.ask('POST', 'sys/mounts/one', { body: { type: 'notebook' } })
  const plain = (await server.ask('GET', 'sys/internal/specs/openapi')).body as {
    openapi: string
    paths: Record<string, Json>
  }
  assert.equal(plain.openapi, '3.0.2')
  for (const path of ['/one/note/{name}', '/sys/mounts/{path}', '/auth/token/create'])
    assert.ok(path in plain.paths, path)
  const generic = (await server.ask('GET', 'sys/internal/specs/openapi?generic_mount_paths=true')).body as {
    paths: Record<string, Json>
  }
  assert.ok('/{notebook_mount_path}/note/{name}' in generic.paths)
  assert.partialDeepStrictEqual(plain.paths['/sys/seal'], { post: { 'x-vault-sudo': true } })
  assert.partialDeepStrictEqual(plain.paths['/sys/unseal'], { post: { 'x-vault-unauthenticated': true } })
})
