import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

type Info = Readonly<Record<string, Json>>
type Body = Readonly<Record<string, Json>>

const settings = { defaultLeaseTtl: seconds(3_600), maxLeaseTtl: seconds(36_000) }
const open = (): Promise<TestServer> => openTestMount(notebook, { others: [doorman()], settings })

test('sys/mounts: all engines with every member, in data and at the top', async () => {
  await using server = await open()
  const answer = await server.ask('GET', 'sys/mounts')
  const data = answer.data as Record<string, Info>
  assert.deepEqual(
    Object.keys(data).filter(path => path === 'notebook/' || path === 'sys/'),
    ['notebook/', 'sys/'],
  )
  const { accessor, uuid, ...info } = data['notebook/']!
  assert.match(accessor as string, /^notebook_[0-9a-f]{8}$/)
  assert.match(uuid as string, /^[0-9a-f-]{36}$/)
  assert.partialDeepStrictEqual(info, {
    config: { default_lease_ttl: 0, force_no_cache: false, max_lease_ttl: 0 },
    description: '',
    external_entropy_access: false,
    local: false,
    options: null,
    plugin_version: '',
    running_plugin_version: 'v1',
    running_sha256: '',
    seal_wrap: false,
    type: 'notebook',
  })
  for (const path of Object.keys(data)) assert.deepEqual((answer.body as Record<string, Json>)[path], data[path])
  assert.deepEqual((await server.ask('GET', 'sys/mounts/notebook')).data, data['notebook/'])
})

test('sys/auth: methods have a token type, their own accessors and no engines among them', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/auth/door', { body: { type: 'doorman', description: 'in' } })
  const { data } = await server.ask('GET', 'sys/auth')
  const info = (data as Record<string, Info>)['door/']!
  assert.match(info['accessor'] as string, /^auth_doorman_[0-9a-f]{8}$/)
  assert.partialDeepStrictEqual(info, {
    type: 'doorman',
    description: 'in',
    config: { token_type: 'default-service', default_lease_ttl: 0 },
  })
  assert.deepEqual(Object.keys(data as object).sort(), ['door/', 'token/'])
})

const refused: readonly (readonly [rule: string, ask: string, body: Body, text: string])[] = [
  ['no type', 'POST sys/mounts/a', {}, 'backend type must be specified as a string'],
  ['an unknown type', 'POST sys/mounts/a', { type: 'nomad' }, 'plugin not found in the catalog: nomad'],
  ['an auth method as an engine', 'POST sys/mounts/a', { type: 'doorman' }, 'plugin not found in the catalog: doorman'],
  ['a type of the server', 'POST sys/auth/a', { type: 'token' }, 'mount type of "token" is not mountable'],
  ['a place of the server', 'POST sys/mounts/sys/x', { type: 'notebook' }, 'cannot mount "sys/x/"'],
  ['a place of auth methods', 'POST sys/mounts/auth/x', { type: 'notebook' }, 'cannot mount "auth/x/"'],
  ['a path in use', 'POST sys/mounts/notebook', { type: 'notebook' }, 'path is already in use at notebook/'],
  ['a path below another', 'POST sys/mounts/notebook/x', { type: 'notebook' }, 'existing mount at notebook/'],
  [
    'a TTL that is none',
    'POST sys/mounts/a',
    { type: 'notebook', config: { default_lease_ttl: 'x' } },
    'unable to parse default TTL of x',
  ],
  [
    'a default over its maximum',
    'POST sys/mounts/a',
    { type: 'notebook', config: { default_lease_ttl: '2h', max_lease_ttl: '1h' } },
    'given default lease TTL greater than given max lease TTL',
  ],
  [
    'a default over the maximum of the configuration',
    'POST sys/mounts/a',
    { type: 'notebook', config: { default_lease_ttl: '11h' } },
    'given default lease TTL greater than system max lease TTL of 36000',
  ],
  [
    'a visibility that is none',
    'POST sys/mounts/a',
    { type: 'notebook', config: { listing_visibility: 'all' } },
    'invalid listing_visibility all',
  ],
  [
    'a token type on an engine',
    'POST sys/mounts/a',
    { type: 'notebook', config: { token_type: 'service' } },
    "'token_type' can only be modified on auth mounts",
  ],
  [
    'an unknown option',
    'POST sys/mounts/a',
    { type: 'notebook', options: { colour: 'red' } },
    'unknown mount option "colour" for type notebook',
  ],
  [
    "an option's unknown value",
    'POST sys/mounts/a',
    { type: 'notebook', options: { size: 'huge' } },
    'mount option "size" must be one of small, large, not "huge"',
  ],
  ['reading what is not mounted', 'GET sys/mounts/nope', {}, 'No secret engine mount at nope/'],
  ['reading a method that is not there', 'GET sys/auth/nope', {}, 'No auth engine at nope/'],
  ['tuning what is not mounted', 'POST sys/mounts/nope/tune', {}, 'tune of path "nope/" failed: no mount entry found'],
  ['reading the tuning of nothing', 'GET sys/mounts/nope/tune', {}, 'cannot fetch sysview for path "nope/"'],
  ['tuning sys', 'POST sys/mounts/sys/tune', { description: 'mine' }, 'cannot tune "sys/"'],
  ['unmounting sys', 'DELETE sys/mounts/sys', {}, 'cannot unmount "sys/"'],
  ['disabling tokens', 'DELETE sys/auth/token', {}, 'cannot unmount "auth/token/"'],
]
for (const [rule, ask, body, text] of refused) {
  test(`sys/mounts: ${rule} is refused`, async () => {
    await using server = await open()
    const [method = '', path = ''] = ask.split(' ')
    const answer = await server.ask(method, path, { body })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
  })
}

test('sys/mounts: no way round sudo to an auth method leads through the paths of engines', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/auth/door', { body: { type: 'doorman' } })
  const token = await server.tokenWith('path "sys/mounts*" { capabilities = ["create", "read", "update", "delete"] }')
  const deleted = await server.ask('DELETE', 'sys/mounts/auth/door', { token })
  assert.deepEqual([deleted.status, deleted.errors], [400, ['cannot unmount "auth/door/"']])
  // To be shown is no way round: clients read a method there.
  const read = await server.ask('GET', 'sys/mounts/auth/door', { token })
  assert.partialDeepStrictEqual([read.status, read.data], [200, { type: 'doorman' }])
  assert.ok('door/' in ((await server.ask('GET', 'sys/auth')).data as object))
  for (const ask of [
    'POST sys/auth/x',
    'GET sys/auth/door',
    'DELETE sys/auth/door',
    'POST sys/auth/door/tune',
  ] as const) {
    const weak = await server.tokenWith('path "sys/auth*" { capabilities = ["create", "read", "update", "delete"] }')
    const [method = '', path = ''] = ask.split(' ')
    assert.equal((await server.ask(method, path, { token: weak, body: { type: 'doorman' } })).status, 403, ask)
  }
})

test('sys/mounts: tuning shows effective TTLs, the mount those of its own', async () => {
  await using server = await open()
  assert.deepEqual((await server.ask('GET', 'sys/mounts/notebook/tune')).data, {
    default_lease_ttl: 3_600,
    description: '',
    force_no_cache: false,
    max_lease_ttl: 36_000,
  })
  const body = {
    default_lease_ttl: '2h',
    max_lease_ttl: '40h',
    description: 'mine',
    listing_visibility: 'unauth',
    options: { size: 'small', title: 'a' },
    audit_non_hmac_request_keys: 'a,b',
  }
  assert.equal((await server.ask('POST', 'sys/mounts/notebook/tune', { body })).status, 204)
  const tuned = {
    default_lease_ttl: 7_200,
    max_lease_ttl: 144_000,
    listing_visibility: 'unauth',
    audit_non_hmac_request_keys: ['a', 'b'],
  }
  assert.partialDeepStrictEqual((await server.ask('GET', 'sys/mounts/notebook/tune')).data, {
    ...tuned,
    description: 'mine',
    options: { size: 'small', title: 'a' },
  })
  assert.partialDeepStrictEqual((await server.ask('GET', 'sys/mounts/notebook')).data, {
    config: tuned,
    description: 'mine',
  })
  await server.ask('POST', 'sys/mounts/notebook/tune', {
    body: {
      default_lease_ttl: 'system',
      max_lease_ttl: '0',
      listing_visibility: '',
      options: { title: '' },
      description: '',
    },
  })
  await server.restart()
  assert.partialDeepStrictEqual((await server.ask('GET', 'sys/mounts/notebook')).data, {
    config: { default_lease_ttl: 0, max_lease_ttl: 0 },
    options: { size: 'small' },
    description: '',
  })
})

test('sys/auth: tokens are tuned for good, but for their type', async () => {
  await using server = await open()
  const body = { max_lease_ttl: '2h', default_lease_ttl: '30m', description: 'ours' }
  assert.equal((await server.ask('POST', 'sys/auth/token/tune', { body })).status, 204)
  const refused = await server.ask('POST', 'sys/auth/token/tune', { body: { token_type: 'batch' } })
  assert.deepEqual(refused.errors, ["'token_type' cannot be set for 'token' or 'ns_token' auth mounts"])
  const shown = async (): Promise<void> => {
    const { data } = await server.ask('GET', 'sys/auth/token/tune')
    assert.partialDeepStrictEqual(data, { max_lease_ttl: 7200, default_lease_ttl: 1800, description: 'ours' })
    const made = await server.ask('POST', 'auth/token/create', { body: { policies: ['default'] } })
    assert.equal((made.body as unknown as { auth: { lease_duration: number } }).auth.lease_duration, 1800)
  }
  await shown()
  await server.restart()
  await shown()
  const { data } = await server.ask('GET', 'sys/auth')
  assert.deepEqual(Object.keys(data as object), ['token/'])
})

test('sys/mounts: an auth method is tuned by either path, with its token type', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/auth/door', { body: { type: 'doorman' } })
  await server.ask('POST', 'sys/mounts/auth/door/tune', { body: { token_type: 'service' } })
  for (const path of ['sys/auth/door/tune', 'sys/mounts/auth/door/tune']) {
    assert.partialDeepStrictEqual((await server.ask('GET', path)).data, {
      token_type: 'service',
      default_lease_ttl: 3_600,
    })
  }
})

test('sys/mounts: unmounting ends the data, also under the same name; what is not there is 204', async () => {
  await using server = await open()
  await server.ask('POST', 'notebook/note/a', { body: { text: 'x' } })
  for (let n = 0; n < 2; n++) assert.equal((await server.ask('DELETE', 'sys/mounts/notebook')).status, 204)
  assert.equal((await server.ask('GET', 'notebook/note/a')).status, 404)
  await server.ask('POST', 'sys/mounts/notebook', { body: { type: 'notebook' } })
  assert.equal((await server.ask('GET', 'notebook/note/a')).status, 404)
  assert.equal((await server.ask('DELETE', 'sys/auth/nope')).status, 204)
})

test('sys/mounts: paths nest, and the longest decides', async () => {
  await using server = await open()
  for (const path of ['a/b', 'a/c'])
    assert.equal((await server.ask('POST', `sys/mounts/${path}`, { body: { type: 'notebook' } })).status, 204)
  assert.deepEqual((await server.ask('POST', 'sys/mounts/a', { body: { type: 'notebook' } })).status, 400)
  await server.ask('POST', 'a/b/note/x', { body: { text: 'in b' } })
  assert.deepEqual((await server.ask('GET', 'a/b/note/x')).data, { text: 'in b' })
  assert.equal((await server.ask('GET', 'a/c/note/x')).status, 404)
})

const preflights: readonly (readonly [rule: string, rules: string, path: string, status: number])[] = [
  ['a path that one may read', 'path "notebook/note/a" { capabilities = ["read"] }', 'notebook/note/a', 200],
  [
    'another path of a mount that one may read from',
    'path "notebook/note/a" { capabilities = ["read"] }',
    'notebook/note/zzz',
    200,
  ],
  ['the mount itself', 'path "notebook/*" { capabilities = ["list"] }', 'notebook', 200],
  ['a mount that one may nothing in', 'path "other/*" { capabilities = ["read"] }', 'notebook/note/a', 403],
  ['a mount that one is denied', 'path "notebook/*" { capabilities = ["deny"] }', 'notebook/note/a', 403],
  ['no mount', 'path "*" { capabilities = ["read"] }', 'nope/x', 403],
]
for (const [rule, rules, path, status] of preflights) {
  test(`sys/internal/ui/mounts: asked for ${rule}: ${status}`, async () => {
    await using server = await open()
    await server.ask('POST', 'sys/mounts/notebook/tune', { body: { options: { title: '2' } } })
    const token = await server.tokenWith(rules, { no_default_policy: true })
    const answer = await server.ask('GET', `sys/internal/ui/mounts/${path}`, { token })
    assert.equal(answer.status, status)
    if (status === 200)
      assert.partialDeepStrictEqual(answer.data, { path: 'notebook/', type: 'notebook', options: { title: '2' } })
    else
      assert.deepEqual(answer.errors, [
        `preflight capability check returned 403, please ensure client's policies grant access to path "${path}/"`,
      ])
  })
}

test('sys/internal/ui/mounts: an auth method is found with its prefix; without a token nothing is', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/auth/door', { body: { type: 'doorman' } })
  assert.partialDeepStrictEqual((await server.ask('GET', 'sys/internal/ui/mounts/auth/door/login')).data, {
    path: 'auth/door/',
    type: 'doorman',
  })
  assert.equal((await server.ask('GET', 'sys/internal/ui/mounts/notebook', { token: null })).status, 403)
})

test('sys/internal/ui/mounts: all that the token touches, and to everybody what is shown to everybody', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/auth/door', {
    body: { type: 'doorman', description: 'in', config: { listing_visibility: 'unauth' } },
  })
  await server.ask('POST', 'sys/mounts/hidden', {
    body: { type: 'notebook', config: { listing_visibility: 'hidden' } },
  })
  const shown = { 'door/': { type: 'doorman', description: 'in', options: null } }
  assert.deepEqual((await server.ask('GET', 'sys/internal/ui/mounts', { token: null })).data, {
    secret: {},
    auth: shown,
  })
  assert.equal((await server.ask('GET', 'sys/internal/ui/mounts', { token: 'hvs.x' })).status, 403)
  const token = await server.tokenWith('path "notebook/+/x" { capabilities = ["read"] }', { no_default_policy: true })
  const { data } = await server.ask('GET', 'sys/internal/ui/mounts', { token })
  const { secret, auth } = data as { secret: Record<string, Info>; auth: Record<string, Info> }
  assert.deepEqual([Object.keys(secret), auth], [['notebook/'], shown])
  assert.match(secret['notebook/']!['accessor'] as string, /^notebook_/)
})
