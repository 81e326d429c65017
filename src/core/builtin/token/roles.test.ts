import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import { doorman } from '#core/testing/engines.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'

type Body = Readonly<Record<string, Json>>
type Auth = { client_token: string; lease_duration: number; token_policies: string[] } & Record<string, unknown>

const settings = { defaultLeaseTtl: seconds(3_600), maxLeaseTtl: seconds(36_000) }
const open = (): Promise<TestServer> => openTestMount(doorman(), { settings })
const authOf = (answer: TestAnswer): Auth => {
  assert.equal(answer.status, 200, answer.errors.join())
  return (answer.body as unknown as { auth: Auth }).auth
}
const warningsOf = (answer: TestAnswer): readonly string[] =>
  ((answer.body as { warnings: string[] | null }).warnings ?? []).filter(text => !text.endsWith('does not exist'))

const write = async (server: TestServer, name: string, body: Body): Promise<void> => {
  const { status, errors } = await server.ask('POST', `auth/token/roles/${name}`, { body })
  assert.deepEqual([status, errors], [204, []])
}

const read = async (server: TestServer, name: string): Promise<Json> =>
  (await server.ask('GET', `auth/token/roles/${name}`)).data

/** May use every role, and has the policies `one`, `two` and `default`. */
async function user(server: TestServer, capabilities = '"update"'): Promise<string> {
  const policy = `path "auth/token/create*" { capabilities = [${capabilities}] }`
  for (const name of ['one', 'two']) await server.ask('PUT', `sys/policies/acl/${name}`, { body: { policy } })
  return authOf(await server.ask('POST', 'auth/token/create', { body: { policies: ['one', 'two'] } })).client_token
}

const untouched = {
  name: 'web',
  allowed_entity_aliases: [],
  allowed_policies: [],
  allowed_policies_glob: [],
  disallowed_policies: [],
  disallowed_policies_glob: [],
  explicit_max_ttl: 0,
  orphan: false,
  path_suffix: '',
  period: 0,
  renewable: true,
  token_explicit_max_ttl: 0,
  token_no_default_policy: false,
  token_period: 0,
  token_type: 'default-service',
}

const kept: readonly (readonly [rule: string, writes: readonly Body[], shown: Body])[] = [
  ['all is shown of one that says nothing', [{}], {}],
  [
    'what is not sent stays',
    [{ allowed_policies: 'a', orphan: true }, { path_suffix: 'blue' }],
    { allowed_policies: ['a'], orphan: true, path_suffix: 'blue' },
  ],
  [
    'what is sent empty goes',
    [
      { allowed_policies: 'a', path_suffix: 'blue' },
      { allowed_policies: '', path_suffix: '' },
    ],
    {},
  ],
  [
    'policies are lower case, sorted, and each once',
    [{ allowed_policies: ' B,a,b', disallowed_policies_glob: ['X*'] }],
    { allowed_policies: ['a', 'b'], disallowed_policies_glob: ['x*'] },
  ],
  [
    'old names are shown where they were the ones set',
    [{ period: '1m', explicit_max_ttl: '2h', bound_cidrs: '10.0.0.1' }],
    {
      period: 60,
      token_period: 60,
      explicit_max_ttl: 7200,
      token_explicit_max_ttl: 7200,
      bound_cidrs: ['10.0.0.1/32'],
      token_bound_cidrs: ['10.0.0.1/32'],
    },
  ],
  [
    'a new name ends the old one',
    [
      { period: '1m', explicit_max_ttl: '2h' },
      { token_period: '5m', token_explicit_max_ttl: '3h' },
    ],
    { token_period: 300, token_explicit_max_ttl: 10_800 },
  ],
  [
    'uses and addresses are shown when they are set',
    [{ token_num_uses: 4, token_bound_cidrs: ['::1'] }],
    { token_num_uses: 4, token_bound_cidrs: ['::1/128'] },
  ],
  [
    'a batch role says so',
    [{ token_type: 'batch', orphan: true, renewable: false }],
    { token_type: 'batch', orphan: true, renewable: false },
  ],
  ['the type may go back to the default', [{ token_type: 'service' }, { token_type: '' }], {}],
]
for (const [rule, writes, shown] of kept) {
  test(`token role: ${rule}`, async () => {
    await using server = await open()
    for (const body of writes) await write(server, 'web', body)
    assert.deepEqual(await read(server, 'web'), { ...untouched, ...shown })
    await server.restart()
    assert.deepEqual(await read(server, 'web'), { ...untouched, ...shown })
  })
}

const misfits: readonly (readonly [rule: string, body: Body, text: string])[] = [
  [
    'a path suffix with other characters',
    { path_suffix: 'a/b' },
    'given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w',
  ],
  ['an unknown type', { token_type: 'x' }, `invalid 'token_type' value "x"`],
  [
    'batch that is no orphan',
    { token_type: 'batch', renewable: false },
    "'token_type' cannot be 'batch' when role is set to generate non-orphan tokens",
  ],
  [
    'batch that is renewable',
    { token_type: 'batch', orphan: true },
    "'token_type' cannot be 'batch' when role is set to generate renewable tokens",
  ],
  [
    'batch with an explicit maximum',
    { token_type: 'batch', orphan: true, renewable: false, token_explicit_max_ttl: 60 },
    "'token_type' cannot be 'batch' when role is set to generate tokens with an explicit max TTL",
  ],
  [
    'batch with a period',
    { token_type: 'batch', orphan: true, renewable: false, token_period: 60 },
    "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
  ],
  [
    'batch of limited uses',
    { token_type: 'default-batch', token_num_uses: 1 },
    "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
  ],
  ['fewer than no uses', { token_num_uses: -1 }, "'token_num_uses' cannot be negative"],
]
for (const [rule, body, text] of misfits) {
  test(`token role: refused is ${rule}`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', 'auth/token/roles/web', { body })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.equal((await server.ask('GET', 'auth/token/roles/web')).status, 404)
  })
}

test('token role: they are listed, read and deleted; what is not there is 404, and deleted already', async () => {
  await using server = await open()
  assert.equal((await server.ask('LIST', 'auth/token/roles')).status, 404)
  for (const name of ['b', 'a.1']) await write(server, name, {})
  assert.deepEqual((await server.ask('LIST', 'auth/token/roles')).data, { keys: ['a.1', 'b'] })
  assert.deepEqual((await server.ask('LIST', 'auth/token/roles?after=a.1')).data, { keys: ['b'] })
  for (let i = 0; i < 2; i++) assert.equal((await server.ask('DELETE', 'auth/token/roles/b')).status, 204)
  assert.equal((await server.ask('GET', 'auth/token/roles/b')).status, 404)
  assert.equal((await server.ask('POST', 'auth/token/roles/-b', { body: {} })).status, 404)
})

test('token role: a first write takes create, a later one update', async () => {
  await using server = await open()
  const create = await server.tokenWith('path "auth/token/roles/*" { capabilities = ["create"] }')
  const ask = async (): Promise<number> =>
    (await server.ask('POST', 'auth/token/roles/web', { token: create, body: {} })).status
  assert.deepEqual([await ask(), await ask()], [204, 403])
})

test('token role: an unknown one makes no token', async () => {
  await using server = await open()
  const answer = await server.ask('POST', 'auth/token/create/web', { body: {} })
  assert.deepEqual([answer.status, answer.errors], [400, ['unknown role web']])
})

const policies: readonly (readonly [rule: string, role: Body, asked: Body, want: readonly string[] | string])[] = [
  [
    'allowed policies may be any, whatever the caller has',
    { allowed_policies: 'x,y' },
    { policies: ['x'] },
    ['default', 'x'],
  ],
  ['none asked: the allowed ones', { allowed_policies: 'x,y' }, {}, ['default', 'x', 'y']],
  ['a glob allows', { allowed_policies_glob: 'team-*' }, { policies: ['team-a'] }, ['default', 'team-a']],
  ['only globs, none asked: default alone', { allowed_policies_glob: 'team-*' }, {}, ['default']],
  [
    'what is not allowed is refused, with both lists',
    { allowed_policies: 'x', allowed_policies_glob: 't*' },
    { policies: ['z'] },
    `token policies (["default" "z"]) must be subset of the role's allowed policies (["default" "x"]) or glob policies (["t*"])`,
  ],
  [
    'without default it is not in the text',
    { allowed_policies: 'x', token_no_default_policy: true },
    { policies: ['z'] },
    `token policies (["z"]) must be subset of the role's allowed policies (["x"]) or glob policies ([])`,
  ],
  ['disallowed alone, none asked: those of the caller', { disallowed_policies: 'x' }, {}, ['default', 'one', 'two']],
  ['disallowed alone: any other', { disallowed_policies: 'x' }, { policies: ['y'] }, ['default', 'y']],
  [
    'a disallowed one is refused',
    { disallowed_policies: 'x' },
    { policies: ['X'] },
    'token policy "x" is disallowed by this role',
  ],
  [
    'a disallowed glob refuses',
    { disallowed_policies_glob: '*-root' },
    { policies: ['a-root'] },
    'token policy "a-root" is disallowed by this role',
  ],
  [
    'a disallowed policy that the caller has is refused',
    { disallowed_policies: 'one' },
    {},
    'token policy "one" is disallowed by this role',
  ],
  ['default that is disallowed is not added', { disallowed_policies: 'default' }, { policies: ['x'] }, ['x']],
  ['token_no_default_policy does not add it', { allowed_policies: 'x', token_no_default_policy: true }, {}, ['x']],
  ['no_default_policy strips it', { allowed_policies: 'x,default' }, { no_default_policy: true }, ['x']],
  ['without lists the caller bounds', {}, { policies: ['x'] }, 'child policies must be subset of parent'],
  ['without lists, none asked: those of the caller', {}, {}, ['default', 'one', 'two']],
  [
    'the wrapping policy is never given',
    { allowed_policies: 'response-wrapping' },
    {},
    'cannot assign policy "response-wrapping"',
  ],
  [
    'root is never given',
    { allowed_policies: 'root' },
    {},
    'root tokens may not be created without parent token being root',
  ],
  [
    'root in a glob is never given',
    { allowed_policies_glob: '*' },
    { policies: ['ROOT '] },
    'root tokens may not be created without parent token being root',
  ],
]
for (const [rule, role, asked, want] of policies) {
  test(`token role policies: ${rule}`, async () => {
    await using server = await open()
    await write(server, 'web', role)
    const answer = await server.ask('POST', 'auth/token/create/web', { token: await user(server), body: asked })
    if (typeof want === 'string') {
      assert.deepEqual([answer.status, answer.errors], [400, [want]])
      assert.doesNotMatch(answer.text, /hv[sb]\./)
    } else assert.deepEqual(authOf(answer).token_policies, want)
  })
}

for (const spelling of ['root', 'Root', 'ROOT', ' root ', 'root\n', '\u00a0root', '\ufeffRoot']) {
  test(`token role policies: ${JSON.stringify(spelling)} is root, allowed, asked for or matched, and given to nobody`, async () => {
    await using server = await open()
    const token = await user(server)
    await write(server, 'list', { allowed_policies: [spelling, 'x'] })
    await write(server, 'glob', { allowed_policies_glob: ['*'] })
    await write(server, 'free', { disallowed_policies: ['x'] })
    for (const [role, body] of [
      ['list', {}],
      ['list', { policies: [spelling] }],
      ['list', { policies: ['x', spelling], type: 'batch' }],
      ['glob', { policies: [spelling] }],
      ['free', { policies: [spelling] }],
    ] as const) {
      const answer = await server.ask('POST', `auth/token/create/${role}`, { token, body })
      assert.equal(answer.status, 400)
      assert.match(answer.errors[0]!, /root tokens may not be created|batch tokens cannot be root tokens/)
    }
  })
}

const shapes: readonly (readonly [rule: string, role: Body, asked: Body, seen: Body, warnings: readonly string[]])[] = [
  ['role and path are shown', {}, {}, { role: 'web', path: 'auth/token/create/web', orphan: false }, []],
  ['a suffix ends the path', { path_suffix: 'ci-1' }, {}, { path: 'auth/token/create/web/ci-1' }, []],
  ['orphan as the role says', { orphan: true }, {}, { orphan: true }, []],
  ['no_parent says nothing beside a role', {}, { no_parent: true }, { orphan: false }, []],
  ['not renewable as the role says', { renewable: false }, { renewable: true }, { renewable: false }, []],
  ['not renewable as the call says', {}, { renewable: false }, { renewable: false }, []],
  ['uses of the role', { token_num_uses: 3 }, {}, { num_uses: 2 }, []],
  ['uses: the lesser', { token_num_uses: 3 }, { num_uses: 9 }, { num_uses: 2 }, []],
  ['uses: the lesser, of the call', { token_num_uses: 9 }, { num_uses: 3 }, { num_uses: 2 }, []],
  ['addresses of the role', { token_bound_cidrs: '192.0.2.7' }, {}, { bound_cidrs: ['192.0.2.7/32'] }, []],
  ['a period of the role, without sudo', { token_period: '10m' }, {}, { period: 600, ttl: 600 }, []],
  [
    'a period: the lesser',
    { token_period: '10m' },
    { period: '5m' },
    { period: 300, ttl: 300 },
    ['Period specified both during creation call and in role; using the lesser value of 300 seconds'],
  ],
  [
    'an explicit maximum of the role',
    { token_explicit_max_ttl: '20m' },
    {},
    { explicit_max_ttl: 1200, ttl: 1200 },
    ['TTL of "1h" exceeded the effective max_ttl of "20m"; TTL value is capped accordingly'],
  ],
  [
    'an explicit maximum: the lesser',
    { token_explicit_max_ttl: '20m' },
    { explicit_max_ttl: '3h', ttl: '1m' },
    { explicit_max_ttl: 1200, ttl: 60 },
    ['Explicit max TTL specified both during creation call and in role; using the lesser value of 1200 seconds'],
  ],
  ['a service role gives service', { token_type: 'service' }, { type: 'batch' }, { type: 'service' }, []],
  ['a default lets the call say', {}, { type: 'batch' }, { type: 'batch', role: 'web' }, []],
  ['a default of batch', { token_type: 'default-batch', allowed_policies: 'default' }, {}, { type: 'batch' }, []],
  [
    'a default of batch lets the call say',
    { token_type: 'default-batch' },
    { type: 'service' },
    { type: 'service' },
    [],
  ],
  [
    'a batch role gives batch',
    { token_type: 'batch', orphan: true, renewable: false },
    { type: 'service' },
    { type: 'batch', orphan: true },
    [],
  ],
]
for (const [rule, role, asked, seen, warnings] of shapes) {
  test(`token role create: ${rule}`, async () => {
    await using server = await open()
    await write(server, 'web', role)
    const answer = await server.ask('POST', 'auth/token/create/web', { token: await user(server), body: asked })
    const { client_token: token } = authOf(answer)
    assert.partialDeepStrictEqual((await server.ask('GET', 'auth/token/lookup-self', { token })).data, seen)
    assert.deepEqual(warningsOf(answer), warnings)
  })
}

const refused: readonly (readonly [rule: string, role: Body, asked: Body, text: string])[] = [
  [
    'a period without sudo, where the role has none',
    {},
    { period: '1h' },
    'root or sudo privileges required to create periodic token',
  ],
  ['an id without sudo', {}, { id: 'mine' }, 'root or sudo privileges required to specify token id'],
  [
    'batch with the period of the role',
    { token_period: 60 },
    { type: 'batch' },
    'batch tokens cannot have "period" set',
  ],
  [
    'batch with the uses of the role',
    { token_num_uses: 2 },
    { type: 'batch' },
    'batch tokens cannot have "num_uses" set',
  ],
  ['an alias that no role allows', {}, { entity_alias: 'bob' }, "invalid 'entity_alias' value"],
  [
    'an alias beside the allowed ones',
    { allowed_entity_aliases: 'web-*' },
    { entity_alias: 'bob' },
    "invalid 'entity_alias' value",
  ],
  ['an unknown type', {}, { type: 'x' }, "invalid 'token_type' value"],
  ['a negative explicit maximum', {}, { explicit_max_ttl: '-1h' }, 'explicit_max_ttl must be positive'],
]
for (const [rule, role, asked, text] of refused) {
  test(`token role create: refused is ${rule}`, async () => {
    await using server = await open()
    await write(server, 'web', role)
    const answer = await server.ask('POST', 'auth/token/create/web', { token: await user(server), body: asked })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
  })
}

test('token role create: sudo is judged on the path of the role', async () => {
  await using server = await open()
  await write(server, 'web', {})
  const sudo = await user(server, '"update", "sudo"')
  const answer = await server.ask('POST', 'auth/token/create/web', {
    token: sudo,
    body: { policies: ['more'], period: '5m' },
  })
  assert.deepEqual(authOf(answer).token_policies, ['default', 'more'])
})

test('token role create: an allowed alias makes an entity once, and finds it from then on', async () => {
  await using server = await open()
  await write(server, 'web', { allowed_entity_aliases: ['Web-*', 'bob'] })
  const token = await user(server)
  const make = async (alias: string, type = 'service'): Promise<unknown> => {
    const body = { entity_alias: alias, type }
    return authOf(await server.ask('POST', 'auth/token/create/web', { token, body }))['entity_id']
  }
  const ids = await Promise.all([make('web-1'), make('web-1'), make('web-1', 'batch')])
  assert.equal(new Set(ids).size, 1)
  assert.match(ids[0] as string, /^[0-9a-f-]{36}$/)
  assert.notEqual(await make('bob'), ids[0])
  await server.restart()
  assert.equal(await make('web-1'), ids[0])
})

test('token role renew: the role counts as it is then, and what the call asked for stays a bound', async () => {
  await using server = await open()
  await write(server, 'web', { token_period: '10m', token_explicit_max_ttl: '2h' })
  const { client_token: token } = authOf(
    await server.ask('POST', 'auth/token/create/web', { token: await user(server), body: {} }),
  )
  const short = authOf(
    await server.ask('POST', 'auth/token/create/web', { token: await user(server), body: { period: '5m' } }),
  ).client_token
  const renew = async (one: string): Promise<number> =>
    authOf(await server.ask('POST', 'auth/token/renew-self', { token: one, body: {} })).lease_duration
  await write(server, 'web', { token_period: '20m' })
  assert.deepEqual([await renew(token), await renew(short)], [1200, 300])
  assert.partialDeepStrictEqual((await server.ask('GET', 'auth/token/lookup-self', { token })).data, { period: 1200 })
  await write(server, 'web', { token_explicit_max_ttl: '15m' })
  assert.equal(await renew(token), 900)
})

test('token role renew: a role that gives no period any more lets its tokens end, whatever they asked for', async () => {
  await using server = await open()
  await write(server, 'web', { token_period: '2h', orphan: true })
  const { client_token: token } = authOf(
    await server.ask('POST', 'auth/token/create/web', { token: await user(server), body: { period: '1h' } }),
  )
  await write(server, 'web', { token_period: 0 })
  const granted: number[] = []
  for (let half = 0; half < 20; half++) {
    await server.world.clock.advance(1_800_000)
    const answer = await server.ask('POST', 'auth/token/renew-self', { token, body: {} })
    if (answer.status === 200) granted.push(authOf(answer).lease_duration)
  }
  assert.deepEqual([granted.length, granted.at(-1)], [19, 1_800])
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
})

test('token role renew: of a role that is gone nothing is renewed', async () => {
  await using server = await open()
  await write(server, 'web', {})
  const { client_token: token } = authOf(
    await server.ask('POST', 'auth/token/create/web', { token: await user(server), body: {} }),
  )
  await server.ask('DELETE', 'auth/token/roles/web')
  const answer = await server.ask('POST', 'auth/token/renew-self', { token, body: {} })
  assert.equal(answer.status, 500)
  assert.match(answer.errors[0]!, /original token role "web" could not be found, not renewing$/)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
})

test('token role: its tokens are revoked together by their path', async () => {
  await using server = await open()
  await write(server, 'web', { orphan: true, path_suffix: 'blue' })
  const token = await user(server)
  const one = authOf(await server.ask('POST', 'auth/token/create/web', { token, body: {} })).client_token
  await write(server, 'web', { path_suffix: 'green' })
  const other = authOf(await server.ask('POST', 'auth/token/create/web', { token, body: {} })).client_token
  assert.equal((await server.ask('PUT', 'sys/leases/revoke-prefix/auth/token/create/web/blue')).status, 204)
  const status = async (of: string) => (await server.ask('GET', 'auth/token/lookup-self', { token: of })).status
  assert.deepEqual([await status(one), await status(other)], [403, 200])
})
