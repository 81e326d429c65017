import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { kubernetesAuth } from './engine.ts'
import { matchLabels } from './role.ts'

const open = (): Promise<TestServer> => openTestMount(kubernetesAuth)
const write = (server: TestServer, body: Json, name = 'app'): Promise<TestAnswer> =>
  server.ask('POST', `auth/kubernetes/role/${name}`, { body })
const read = (server: TestServer, name = 'app'): Promise<TestAnswer> =>
  server.ask('GET', `auth/kubernetes/role/${name}`)

const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'shop' }
const lean = { ...bound, audience: 'vault' }
const shown = {
  bound_service_account_names: ['app'],
  bound_service_account_namespaces: ['shop'],
  bound_service_account_namespace_selector: '',
  alias_name_source: 'serviceaccount_uid',
  audience: 'vault',
  token_bound_cidrs: [],
  token_explicit_max_ttl: 0,
  token_max_ttl: 0,
  token_no_default_policy: false,
  token_num_uses: 0,
  token_period: 0,
  token_policies: [],
  token_ttl: 0,
  token_type: 'default',
}
const noAudience = 'Role does not have an audience. In Vault v1.21+, specifying an audience on roles will be required.'
const truncated =
  "max_ttl is greater than the system or backend mount's maximum TTL value; issued tokens' max TTL value will be truncated"

test('kubernetes role: what is not sent stays, but for the selector', async () => {
  await using server = await open()
  for (const [sent, want] of [
    [lean, {}],
    [
      { token_policies: 'a,b', ttl: '1m' },
      { token_policies: ['a', 'b'], token_ttl: 60, ttl: 60 },
    ],
    [
      { bound_service_account_namespace_selector: 'matchLabels: {a: b}' },
      {
        token_policies: ['a', 'b'],
        token_ttl: 60,
        ttl: 60,
        bound_service_account_namespace_selector: 'matchLabels: {a: b}',
      },
    ],
    [
      { alias_name_source: 'serviceaccount_name', token_ttl: 0, token_policies: [] },
      { alias_name_source: 'serviceaccount_name' },
    ],
    [
      { bound_service_account_names: ['a', 'b*'], bound_service_account_uids: 'u1,u2' },
      {
        alias_name_source: 'serviceaccount_name',
        bound_service_account_names: ['a', 'b*'],
        bound_service_account_uids: ['u1', 'u2'],
      },
    ],
    [
      { alias_name_source: 'serviceaccount_uid', bound_service_account_names: '*', bound_service_account_uids: '' },
      { bound_service_account_names: ['*'] },
    ],
  ] as const) {
    const answer = await write(server, sent as Json)
    assert.deepEqual([answer.status, answer.body], [204, null])
    assert.deepEqual((await read(server)).data, { ...shown, ...want }, JSON.stringify(sent))
  }
  const before = (await read(server)).data
  await server.restart()
  assert.deepEqual((await read(server)).data, before)
})

for (const [rule, before, body, text] of [
  ['no names', null, { bound_service_account_namespaces: 'shop' }, '"bound_service_account_names" can not be empty'],
  ['names taken away', lean, { bound_service_account_names: '' }, '"bound_service_account_names" can not be empty'],
  [
    'no namespaces',
    null,
    { bound_service_account_names: 'app' },
    '"bound_service_account_namespaces" can not be empty if "bound_service_account_namespace_selector" is not set',
  ],
  [
    'no namespaces, once the selector is not sent again',
    {
      bound_service_account_names: 'app',
      bound_service_account_namespace_selector: 'matchLabels: {a: b}',
      audience: 'vault',
    },
    { token_ttl: 1 },
    '"bound_service_account_namespaces" can not be empty if "bound_service_account_namespace_selector" is not set',
  ],
  ['a star among names', null, { ...bound, bound_service_account_names: 'app,*' }, 'can not mix "*" with values'],
  [
    'a star among namespaces',
    null,
    { ...bound, bound_service_account_namespaces: ['*', 'shop'] },
    'can not mix "*" with values',
  ],
  [
    'a selector that is no map',
    null,
    { ...bound, bound_service_account_namespace_selector: 'team=red' },
    'invalid "bound_service_account_namespace_selector" configured',
  ],
  [
    'matchExpressions',
    null,
    { ...bound, bound_service_account_namespace_selector: '{"matchExpressions":[{"key":"a","operator":"Exists"}]}' },
    'invalid "bound_service_account_namespace_selector" configured',
  ],
  [
    'another alias_name_source',
    null,
    { ...bound, alias_name_source: 'pod' },
    'invalid alias_name_source, must be one of: serviceaccount_uid, serviceaccount_name',
  ],
  [
    'a TTL beyond the largest',
    null,
    { ...bound, token_ttl: '2h', token_max_ttl: '1h' },
    "'token_ttl' cannot be greater than 'token_max_ttl'",
  ],
  [
    'a period beyond the mount’s',
    null,
    { ...bound, token_period: '800h' },
    `token period of '"800h0m0s"' is greater than the backend's maximum lease TTL of '"768h0m0s"'`,
  ],
  ['uses below none', null, { ...bound, token_num_uses: -1 }, "'token_num_uses' cannot be negative"],
  [
    'batch tokens with a period',
    null,
    { ...bound, token_type: 'batch', token_period: '1h' },
    "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
  ],
  ['an unknown type of token', null, { ...bound, token_type: 'x' }, `invalid 'token_type' value "x"`],
] as const) {
  test(`kubernetes role: refused is ${rule}`, async () => {
    await using server = await open()
    if (before !== null) await write(server, before)
    const kept = (await read(server)).data
    const answer = await write(server, body as Json)
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.deepEqual((await read(server)).data, kept, 'nothing changed')
  })
}

for (const [rule, body, warnings] of [
  ['a role without an audience', bound, [noAudience]],
  ['a TTL that will be cut', { ...lean, token_max_ttl: '800h' }, [truncated]],
] as const) {
  test(`kubernetes role: a warning says of ${rule}`, async () => {
    await using server = await open()
    const answer = await write(server, body as Json)
    assert.equal(answer.status, 200)
    assert.deepEqual((answer.body as { warnings: Json }).warnings, warnings)
    assert.equal((await read(server)).status, 200, 'it is written')
  })
}

test('kubernetes role: what it does not know is passed over, as is a name in the body', async () => {
  await using server = await open()
  const answer = await write(server, { ...lean, token_strictly_bind_ip: true, bound_pods: 'x', name: 'other' })
  assert.deepEqual([answer.status, answer.body], [204, null])
  assert.deepEqual((await read(server)).data, shown)
  assert.equal((await read(server, 'other')).status, 404)
})

test('kubernetes role: names are one whatever their case, listed in lower case, and gone after a delete', async () => {
  await using server = await open()
  assert.equal((await server.ask('LIST', 'auth/kubernetes/role')).status, 404)
  for (const name of ['Beta', 'alpha.x-1', 'gamma']) await write(server, lean, name)
  assert.deepEqual((await server.ask('LIST', 'auth/kubernetes/role')).data, { keys: ['alpha.x-1', 'beta', 'gamma'] })
  assert.equal((await read(server, 'BETA')).status, 200)
  await write(server, { token_ttl: 5 }, 'beta')
  assert.equal(((await read(server, 'Beta')).data as { token_ttl: number }).token_ttl, 5)
  assert.equal((await server.ask('DELETE', 'auth/kubernetes/role/bEta')).status, 204)
  assert.equal((await server.ask('DELETE', 'auth/kubernetes/role/bEta')).status, 204)
  const gone = await read(server, 'beta')
  assert.deepEqual([gone.status, gone.body], [404, { errors: [] }])
  assert.equal((await read(server, 'a b')).status, 404)
})

test('kubernetes role: policies tell the first write from later ones', async () => {
  await using server = await open()
  const token = await server.tokenWith('path "auth/kubernetes/role/*" { capabilities = ["create"] }')
  const as = (): Promise<TestAnswer> => server.ask('POST', 'auth/kubernetes/role/app', { body: lean, token })
  assert.equal((await as()).status, 204)
  assert.equal((await as()).status, 403)
})

for (const [selector, want] of [
  ['{"matchLabels":{"a":"b","c":"d"}}', { a: 'b', c: 'd' }],
  ['matchLabels:\n  a: b', { a: 'b' }],
  ['matchLabels: {}', {}],
  ['matchLabels: {a: 1}', null],
  ['matchLabels: [a]', null],
  ['matchLabels: {a: b}\nmatchExpressions: []', null],
  ['[]', null],
  ['a: &x {b: *x}', null],
  ['{', null],
  ['', null],
] as const) {
  test(`kubernetes role: the selector ${JSON.stringify(selector)} is ${want === null ? 'none' : 'taken'}`, () => {
    assert.deepEqual(matchLabels(selector), want)
  })
}
