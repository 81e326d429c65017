import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { doorman } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

type Body = Readonly<Record<string, Json>>
type Auth = { client_token: string; accessor: string; policies: string[]; lease_duration: number } & Record<
  string,
  unknown
>

const open = (): Promise<TestServer> => openTestMount(doorman())
const canCreate = 'path "auth/token/create*" { capabilities = ["update"] }'
const canSudo = 'path "auth/token/create*" { capabilities = ["update", "sudo"] }'
const authOf = (answer: { body: Json }): Auth => (answer.body as { auth: Auth }).auth

async function lookup(server: TestServer, token: string): Promise<Record<string, unknown>> {
  return (await server.ask('POST', 'auth/token/lookup', { body: { token } })).data as Record<string, unknown>
}

test('token create: the answer has the auth block of a child, and no data', async () => {
  await using server = await open()
  await server.ask('PUT', 'sys/policies/acl/app', { body: { policy: canCreate } })
  const body = { policies: ['app'], ttl: '1h', meta: { team: 'web' }, display_name: 'ci bot!' }
  const answer = await server.ask('POST', 'auth/token/create', { body })
  const { client_token, accessor, ...auth } = authOf(answer)
  assert.deepEqual([answer.status, answer.data], [200, null])
  assert.match(client_token, /^hvs\.[0-9A-Za-z]{24}$/)
  assert.match(accessor, /^[0-9A-Za-z]{24}$/)
  const policies = ['app', 'default']
  const rest = {
    renewable: true,
    entity_id: '',
    token_type: 'service',
    orphan: false,
    mfa_requirement: null,
    num_uses: 0,
  }
  assert.deepEqual(auth, {
    policies,
    token_policies: policies,
    metadata: { team: 'web' },
    lease_duration: 3600,
    ...rest,
  })
})

test('token lookup: every member of a child, of an orphan, of a periodic one and of the root token', async () => {
  await using server = await open()
  const made = authOf(
    await server.ask('POST', 'auth/token/create', {
      body: { policies: ['default'], ttl: '1h', display_name: 'ci bot!' },
    }),
  )
  await server.world.clock.advance(500)
  assert.deepEqual(await lookup(server, made.client_token), {
    accessor: made.accessor,
    creation_time: 1_767_225_600,
    creation_ttl: 3600,
    display_name: 'token-ci-bot',
    entity_id: '',
    expire_time: '2026-01-01T01:00:00Z',
    explicit_max_ttl: 0,
    id: made.client_token,
    issue_time: '2026-01-01T00:00:00Z',
    meta: null,
    num_uses: 0,
    orphan: false,
    path: 'auth/token/create',
    policies: ['default'],
    renewable: true,
    ttl: 3600,
    type: 'service',
  })
  await server.world.clock.advance(60_000)
  assert.equal((await lookup(server, made.client_token))['ttl'], 3540)
  const period = authOf(
    await server.ask('POST', 'auth/token/create-orphan', {
      body: { policies: ['default'], period: 60, num_uses: 7, explicit_max_ttl: '2h' },
    }),
  )
  assert.partialDeepStrictEqual(await lookup(server, period.client_token), {
    period: 60,
    num_uses: 7,
    orphan: true,
    explicit_max_ttl: 7200,
    display_name: 'token',
  })
  const root = await lookup(server, server.rootToken)
  assert.partialDeepStrictEqual(root, {
    display_name: 'root',
    path: 'auth/token/root',
    ttl: 0,
    creation_ttl: 0,
    expire_time: null,
    orphan: true,
    type: 'service',
    policies: ['root'],
    meta: null,
  })
  for (const absent of ['issue_time', 'renewable', 'period', 'bound_cidrs', 'last_renewal'])
    assert.ok(!(absent in root), absent)
})

const policies: readonly (readonly [rule: string, caller: string, body: Body, want: readonly string[] | RegExp])[] = [
  ['none asked: those of the parent', 'plain', {}, ['app', 'default', 'other']],
  ['none asked of a parent without default: no default', 'bare', {}, ['app']],
  ['a subset, and default', 'plain', { policies: ['other'] }, ['default', 'other']],
  ['a subset of a parent without default: no default', 'bare', { policies: ['app'] }, ['app']],
  ['what the parent lacks is refused', 'plain', { policies: ['more'] }, /^child policies must be subset of parent$/],
  [
    'default, which the parent lacks, is refused',
    'bare',
    { policies: ['default'] },
    /^child policies must be subset of parent$/,
  ],
  ['sudo gives anything, and default', 'sudo', { policies: ['more'] }, ['default', 'more']],
  [
    'sudo gives no root',
    'sudo',
    { policies: ['root'] },
    /^root tokens may not be created without parent token being root$/,
  ],
  ['root gives root, alone', 'root', { policies: ['b', 'root'] }, ['root']],
  ['none asked of root: root', 'root', {}, ['root']],
  ['names are lower case, trimmed, sorted, once', 'root', { policies: [' B ', 'a', 'b', ''] }, ['a', 'b', 'default']],
  ['no_default_policy leaves default out', 'plain', { policies: ['app'], no_default_policy: true }, ['app']],
  [
    'no_default_policy strips it where it is named',
    'plain',
    { policies: ['app', 'default'], no_default_policy: true },
    ['app'],
  ],
  ["no_default_policy strips it from the parent's", 'plain', { no_default_policy: true }, ['app', 'other']],
  [
    'the wrapping policy is not given away',
    'root',
    { policies: ['response-wrapping'] },
    /^cannot assign policy "response-wrapping"$/,
  ],
]
for (const [rule, caller, body, want] of policies) {
  test(`token policies: ${rule}`, async () => {
    await using server = await open()
    const token = await callerOf(server, caller)
    const answer = await server.ask('POST', 'auth/token/create', { token, body })
    if (want instanceof RegExp) {
      assert.equal(answer.status, 400)
      assert.match(answer.errors[0] ?? '', want)
      assert.doesNotMatch(answer.text, /hvs\./)
    } else assert.deepEqual(authOf(answer)['token_policies'], want)
  })
}

for (const spelling of ['root', 'Root', 'ROOT', ' root ', 'root\n', '\troot', '\u00a0root', '\ufeffRoot']) {
  test(`token policies: ${JSON.stringify(spelling)} is root, and not for others to give`, async () => {
    await using server = await open()
    const sudo = await callerOf(server, 'sudo')
    for (const path of ['create', 'create-orphan']) {
      const answer = await server.ask('POST', `auth/token/${path}`, { token: sudo, body: { policies: [spelling] } })
      assert.equal(answer.status, 400)
      assert.match(answer.errors[0]!, /root tokens may not be created/)
    }
    const login = await server.ask('POST', 'auth/doorman/login', {
      token: null,
      body: { name: 'a', token_policies: [spelling] },
    })
    assert.deepEqual([login.status, login.errors], [400, ['auth methods cannot create root tokens']])
  })
}

test('token policies: one that is not there is given with a warning, and works once it is written', async () => {
  await using server = await open()
  const answer = await server.ask('POST', 'auth/token/create', { body: { policies: ['later'] } })
  assert.deepEqual((answer.body as { warnings: unknown }).warnings, ['Policy "later" does not exist'])
  const { client_token: token } = authOf(answer)
  assert.equal((await server.ask('GET', 'sys/mounts', { token })).status, 403)
  await server.ask('PUT', 'sys/policies/acl/Later', {
    body: { policy: 'path "sys/mounts" { capabilities = ["read"] }' },
  })
  assert.equal((await server.ask('GET', 'sys/mounts', { token })).status, 200)
})

const refused: readonly (readonly [rule: string, caller: string, body: Body, text: string])[] = [
  ['by a token of limited uses', 'limited', {}, 'restricted use token cannot generate child tokens'],
  ['of an unknown type', 'root', { type: 'x' }, "invalid 'token_type' value"],
  ['with negative uses', 'root', { num_uses: -1 }, 'number of uses cannot be negative'],
  [
    'with an alias, without a role',
    'root',
    { entity_alias: 'x' },
    "'entity_alias' is only allowed in combination with token role",
  ],
  ['with an id, without sudo', 'plain', { id: 'mine' }, 'root or sudo privileges required to specify token id'],
  [
    'as an orphan, without sudo',
    'plain',
    { no_parent: true },
    'root or sudo privileges required to create orphan token',
  ],
  [
    'with a period, without sudo',
    'plain',
    { period: '1h' },
    'root or sudo privileges required to create periodic token',
  ],
  ['with an id of the server', 'root', { id: 'hvs.x' }, "custom token ID cannot have the 'hvs.' prefix"],
  ['with an id of old servers', 'root', { id: 's.x' }, "custom token ID cannot have the 's.' prefix"],
  ['with a dot in the id', 'root', { id: 'a.b' }, "custom token ID cannot have a '.' in the value"],
  ['with blanks around the id', 'root', { id: ' mine' }, 'a token ID has no blanks around it'],
  ['with a negative ttl', 'root', { ttl: '-1h' }, 'ttl must be positive'],
  ['with a negative lease', 'root', { lease: '-1h' }, 'lease must be positive'],
  ['with a negative maximum', 'root', { explicit_max_ttl: '-1h' }, 'explicit_max_ttl must be positive'],
  [
    'with a ttl that is no duration',
    'root',
    { ttl: 'soon' },
    'the ttl "soon" is no duration: time: invalid duration "soon"',
  ],
  ['with a negative period', 'root', { period: '-1h' }, 'period must be positive'],
  [
    'without end as root, by a root that ends',
    'ending',
    {},
    'expiring root tokens cannot create non-expiring root tokens',
  ],
]
for (const [rule, caller, body, text] of refused) {
  test(`token create: ${rule} is refused`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', 'auth/token/create', { token: await callerOf(server, caller), body })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
  })
}

test('token create: with an id that is in use is refused; the id is the token', async () => {
  await using server = await open()
  const body = { id: 'my-own-token', policies: ['default'] }
  assert.equal(authOf(await server.ask('POST', 'auth/token/create', { body })).client_token, 'my-own-token')
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token: 'my-own-token' })).status, 200)
  const again = await server.ask('POST', 'auth/token/create', { body })
  assert.deepEqual([again.status, again.errors], [400, ['cannot create a token with a duplicate ID']])
})

test('token create: an empty id is none', async () => {
  await using server = await open()
  const token = await callerOf(server, 'plain')
  const answer = await server.ask('POST', 'auth/token/create', { token, body: { id: '' } })
  assert.match(authOf(answer).client_token, /^hvs\./)
})

test('token create: create-orphan asks no sudo, and its token outlives the caller', async () => {
  await using server = await open()
  const caller = await callerOf(server, 'plain')
  const orphan = authOf(await server.ask('POST', 'auth/token/create-orphan', { token: caller, body: {} }))
  const child = authOf(await server.ask('POST', 'auth/token/create', { token: caller, body: {} }))
  assert.deepEqual([orphan['orphan'], child['orphan']], [true, false])
  await server.ask('POST', 'auth/token/revoke', { body: { token: caller } })
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token: orphan.client_token })).status, 200)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token: child.client_token })).status, 403)
})

test('token create: a child has the entity of its parent, an orphan has none', async () => {
  await using server = await open()
  await server.ask('PUT', 'sys/policies/acl/maker', { body: { policy: canSudo } })
  const login = authOf(
    await server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'bob', token_policies: 'maker' } }),
  )
  assert.match(login['entity_id'] as string, /^[0-9a-f-]{36}$/)
  const make = async (body: Body): Promise<unknown> =>
    authOf(await server.ask('POST', 'auth/token/create', { token: login.client_token, body }))['entity_id']
  assert.equal(await make({}), login['entity_id'])
  assert.equal(await make({ no_parent: true }), '')
})

const callers: Readonly<Record<string, (server: TestServer) => Promise<string>>> = {
  root: async server => server.rootToken,
  ending: server => server.tokenWith(canCreate, { policies: ['root'], ttl: '1h' }),
  plain: server => made(server, canCreate, ['app', 'other']),
  bare: server => made(server, canCreate, ['app'], { no_default_policy: true }),
  sudo: server => made(server, canSudo, ['app']),
  limited: server => made(server, canCreate, ['app'], { num_uses: 5 }),
}

const callerOf = (server: TestServer, name: string): Promise<string> => callers[name]!(server)

async function made(server: TestServer, rules: string, names: readonly string[], more: Body = {}): Promise<string> {
  for (const name of names) await server.ask('PUT', `sys/policies/acl/${name}`, { body: { policy: rules } })
  return authOf(await server.ask('POST', 'auth/token/create', { body: { policies: names, ...more } })).client_token
}
